"""The synthetic lesions of the page's screenshots, and what the shipped model answers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.synthetic.lesion import SIZE, draw_nevus, nevus_jpeg
from tests.e2e.service_process import ServiceProcess, service_process

SHIPPED = Path(__file__).parents[2] / "models"


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceProcess]:
    with service_process(SHIPPED) as running:
        running.logged("model in use")
        yield running


def test_a_seed_always_draws_the_same_lesion() -> None:
    assert draw_nevus(4).tobytes() == draw_nevus(4).tobytes()
    assert draw_nevus(4).tobytes() != draw_nevus(6).tobytes()
    assert draw_nevus(4).size == SIZE


@pytest.mark.parametrize(("seed", "refer"), [(4, False), (11, True)])
def test_the_shipped_model_names_a_diagnosis_without_force(
    service: ServiceProcess, seed: int, refer: bool
) -> None:
    answer = service.client.post("/v1/predictions", content=nevus_jpeg(seed)).json()
    assert answer["quality"]["accepted"]
    assert answer["diagnosis"]["code"] == "nv"
    assert answer["diagnosis"]["confident"]
    assert answer["malignancy"]["refer"] is refer
