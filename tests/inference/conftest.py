"""What the inference suite runs under."""

from pathlib import Path

import pytest
import structlog

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.settings import Settings
from tests.models import saved_models

__all__ = ["saved_models"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _plain_log() -> None:
    """Keep structlog from drawing every variable of a traceback, which takes seconds."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(),
        ]
    )


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def settings(store: ModelStore) -> Settings:
    # However busy the machine is, no test but those of the time limit shall meet it.
    return Settings(
        model_repository=store.root,
        decode_threads=2,
        engine_threads=1,
        request_timeout_s=300,
        drain_s=0,
    )
