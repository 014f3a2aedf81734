"""The loops of the gateway: nothing ends them but being told to."""

import threading
from collections.abc import Callable
from pathlib import Path

from lentigo_gateway.config import GatewayConfig
from lentigo_gateway.errors import BoundsError, DeliveryRefusedError
from lentigo_gateway.gateway import Gateway, connected_places
from tests.gateway.bench import Bench
from tests.gateway.dicom import PATIENT_NAME

DEADLINE_S = 60.0


class Source:
    """Fails in ways that nobody foresaw, and then works."""

    name = "odd"
    interval_s = 60.0

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.works = threading.Event()

    def look(self) -> bool:
        if self.faults:
            raise self.faults.pop(0)
        self.works.set()
        return False


def run(bench: Bench, folder: Path, source: Source, until: Callable[[], object]) -> None:
    config = GatewayConfig.model_validate(
        {
            "service": {"url": "http://127.0.0.1:1"},
            "archive": {"url": "http://127.0.0.1:1"},
            "sources": {"query": {}},
            "worklist": {"folder": folder, "first_delay_s": 0.001},
        }
    )
    with connected_places(config) as places:
        gateway = Gateway(config, places, bench.worklist, [source], bench.log)
        thread = threading.Thread(target=gateway.run)
        thread.start()
        try:
            assert until()
        finally:
            gateway.stop()
            thread.join(DEADLINE_S)
    assert not thread.is_alive()


def test_a_source_that_fails_in_any_way_goes_on(bench: Bench, tmp_path: Path) -> None:
    source = Source(
        RuntimeError(f"{PATIENT_NAME} broke it"),
        BoundsError("The FHIR server sent more than is accepted."),
        DeliveryRefusedError("The FHIR server refuses a search."),
    )
    run(bench, tmp_path, source, lambda: source.works.wait(DEADLINE_S))
    (line,) = bench.events("source fails")
    assert "RuntimeError at test_gateway.py" in line["reason"]
    assert "Roe" not in line["reason"]
    assert len(bench.events("source works again")) == 1


def test_a_worker_that_fails_in_any_way_goes_on(bench: Bench, tmp_path: Path) -> None:
    claim = bench.worklist.claim
    faults = [RuntimeError(PATIENT_NAME)]
    works = threading.Event()

    def claiming(**options: object) -> object:
        if faults:
            raise faults.pop()
        works.set()
        return claim(**options)  # type: ignore[arg-type]

    bench.worklist.claim = claiming  # type: ignore[method-assign, assignment]
    run(bench, tmp_path, Source(), lambda: works.wait(DEADLINE_S))
    (line,) = bench.events("work list fails")
    assert "Roe" not in line["reason"]
