from pathlib import Path

import pytest

from tests.inference.audit.trails import Trail, made_trail


@pytest.fixture
def trail(tmp_path: Path) -> Trail:
    return made_trail(tmp_path)
