"""What the gateway's tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lentigo_gateway.observability.logging import silence_libraries
from tests.gateway.bench import Bench


@pytest.fixture(autouse=True, scope="session")
def _quiet_libraries() -> None:
    """As in the program: libraries neither log nor warn about what they read."""
    silence_libraries()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.worklist.close()


@pytest.fixture
def fhir_bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, fhir=True)
    yield made
    made.worklist.close()
