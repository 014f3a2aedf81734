"""What the inference suite runs under."""

from pathlib import Path

import pytest

from lentigo_contract.store import ModelStore
from lentigo_inference.settings import Settings
from tests.models import saved_models

__all__ = ["saved_models"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def settings(store: ModelStore) -> Settings:
    return Settings(model_repository=store.root, decode_threads=2, engine_threads=1)
