"""The made-up architecture, and a data set of made-up images."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.models.registry import ARCHITECTURES
from tests.trainer.compression.made_up import TINY
from tests.trainer.made_up_runs import prepared_images


@pytest.fixture(scope="module", autouse=True)
def tiny() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, "tiny", TINY)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def prepared(data: Path) -> Prepared:
    return prepared_images(data)
