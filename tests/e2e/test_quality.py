"""A version that knows what is unlike it, published and served, with each engine."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lentigo_contract.repository.store import ModelStore
from tests.e2e.service_process import service_process
from tests.fakes import lesion_image, made_unlikeness
from tests.images import encoded
from tests.models import SavedModels

LESION = encoded(lesion_image(1), "PNG")
BLUE = encoded(Image.fromarray(np.asarray(lesion_image(1))[:, :, ::-1]), "PNG")
BLANK = encoded(Image.new("RGB", (300, 225), "tan"), "PNG")


@pytest.mark.parametrize("engine", ["savedmodel", "litert", "litert-int8"])
def test_what_is_unlike_or_flawed_is_refused_unless_forced(
    tmp_path: Path, saved_models: SavedModels, engine: str
) -> None:
    store = ModelStore(tmp_path / "models")
    saved_models.publish(store, 1, litert=True, unlikeness=made_unlikeness(0.02))
    with service_process(store.root, LENTIGO_ENGINE=engine) as service:
        service.logged("model in use", engine=engine)

        def reasons(image: bytes, query: str = "") -> tuple[list[str], bool]:
            answer = service.client.post(f"/v1/predictions{query}", content=image).json()
            return answer["quality"]["reasons"], answer["diagnosis"] is not None

        assert reasons(LESION) == ([], True)
        assert reasons(BLUE) == (["unlike-training-images"], False)
        assert reasons(BLUE, "?force=true") == (["unlike-training-images"], True)
        assert reasons(BLANK) == (["blank"], False)
        assert reasons(BLANK, "?force=true") == (["blank"], True)
