from pathlib import Path

import pytest

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.settings import Settings
from tests.inference.audit.trails import Trail, made_trail
from tests.models import publish_plain


@pytest.fixture
def trail(tmp_path: Path) -> Trail:
    return made_trail(tmp_path)


@pytest.fixture
def audited(settings: Settings, store: ModelStore, trail: Trail) -> Settings:
    publish_plain(store, 1)
    return settings.model_copy(update={"audit_dir": trail.folder, "audit_key": trail.key})


@pytest.fixture
def at_best_effort(audited: Settings) -> Settings:
    return audited.model_copy(update={"audit": "best-effort"})
