from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lentigo_trainer.baselines.feature_table import FeatureTable, feature_table
from lentigo_trainer.baselines.features import sets
from lentigo_trainer.errors import FeatureError
from lentigo_trainer.system.progress import SilentProgress
from tests.images import encoded
from tests.made_up_lesions import disc_mask, picture

FILES = {
    "ISIC_0000001": encoded(Image.fromarray(picture(disc_mask((150, 112), 52))), "PNG"),
    "ISIC_0000002": encoded(Image.fromarray(picture()), "PNG"),
}


def table(folder: Path) -> FeatureTable:
    readers: dict[str, Callable[[], bytes]] = {
        name: partial(bytes, data) for name, data in FILES.items()
    }
    return feature_table("aswin", list(FILES), readers, folder, 1, SilentProgress())


def test_every_image_has_its_features_and_says_whether_it_has_a_lesion(tmp_path: Path) -> None:
    found = table(tmp_path)
    assert found.values.shape == (2, 17)
    assert np.isfinite(found.values).all()
    assert found.found.tolist() == [True, False]


def test_a_feature_that_is_not_finite_is_named_with_its_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sets, "graycoprops", lambda _pairs, _name: np.full((1, 4), np.nan))
    with pytest.raises(FeatureError, match="ISIC_0000001: A feature is not finite: contrast"):
        table(tmp_path)
