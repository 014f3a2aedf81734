"""Helm, where it is there."""

import pytest

from tests.deploy.chart import find_helm


@pytest.fixture(scope="session")
def helm() -> str:
    found = find_helm()
    if found is None:
        pytest.skip("helm is neither on PATH nor fetched: make helm-check")
    return found
