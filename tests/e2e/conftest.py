"""What the end-to-end suite shares."""

import pytest

from tests.models import saved_models

__all__ = ["saved_models"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
