"""SIGTERM, at the moments when it hurts."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lentigo_contract.repository.store import ModelStore
from tests.e2e.service_process import DEADLINE_S, ServiceProcess, service_process
from tests.fakes import jpeg_bytes
from tests.models import SavedModels

SHIPPED = Path(__file__).parents[2] / "models"


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def idle_service(store: ModelStore) -> Iterator[ServiceProcess]:
    with service_process(store.root) as service:
        yield service


def test_an_idle_service_ends_with_0(idle_service: ServiceProcess) -> None:
    assert idle_service.client.get("/v2/health/live").status_code == 200
    assert idle_service.stop() == 0
    assert not any("Traceback" in line for line in idle_service.lines)


def test_a_service_that_is_loading_ends_with_0(
    store: ModelStore, saved_models: SavedModels
) -> None:
    saved_models.publish(store, 1)
    with service_process(store.root) as service:
        assert service.client.get("/v2/health/live").status_code == 200
        assert service.stop() == 0
        assert not any("Traceback" in line for line in service.lines)


def test_what_was_accepted_is_finished(store: ModelStore, saved_models: SavedModels) -> None:
    saved_models.publish(store, 1)
    with service_process(store.root) as service:
        service.logged("model in use")
        upload = Upload(service)
        service.process.terminate()
        service.logged("stopping")
        assert b" 200 " in upload.finish()
        upload.close()
        assert service.join() == 0
        assert not any("Traceback" in line for line in service.lines)


def test_a_load_balancer_sees_that_it_stops_before_it_does(store: ModelStore) -> None:
    with service_process(store.root, LENTIGO_DRAIN_S="3600") as service:
        service.process.terminate()
        service.logged("stopping")
        ready = service.client.get("/v2/health/ready")
        assert ready.json()["type"] == "urn:lentigo:problem:stopping"
        assert service.client.get("/v2/health/live").status_code == 200
        service.process.terminate()
        assert service.join() == 1


class Upload:
    """A prediction whose body comes when the test says so."""

    def __init__(self, service: ServiceProcess) -> None:
        self.data = jpeg_bytes()
        self.connection = socket.create_connection(service.address, timeout=DEADLINE_S)
        self.connection.sendall(
            b"POST /v1/predictions HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
            b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(self.data)
        )
        self.answer = self.connection.makefile("rb")
        # The service asks for the body, so it has accepted the request.
        assert b" 100 " in self.answer.readline()
        assert self.answer.readline() == b"\r\n"

    def finish(self) -> bytes:
        self.connection.sendall(self.data)
        return self.answer.readline()

    def close(self) -> None:
        self.answer.close()
        self.connection.close()


def test_with_a_full_queue_all_that_was_accepted_is_answered_and_it_ends_with_0() -> None:
    with service_process(SHIPPED, LENTIGO_MAX_PENDING="4", LENTIGO_ENGINE="litert") as service:
        service.logged("model in use")
        uploads = [Upload(service) for _ in range(4)]
        full = service.client.post("/v1/predictions", content=jpeg_bytes())
        assert (full.status_code, full.json()["type"]) == (503, "urn:lentigo:problem:busy")
        service.process.terminate()
        service.logged("stopping")
        refused = service.client.post("/v1/predictions", content=jpeg_bytes())
        assert refused.json()["type"] == "urn:lentigo:problem:stopping"
        with ThreadPoolExecutor(4) as clients:
            answers = list(clients.map(Upload.finish, uploads))
        assert all(b" 200 " in answer for answer in answers)
        assert service.join() == 0
        for upload in uploads:
            upload.close()


def test_a_second_signal_ends_it_at_once_with_1() -> None:
    with service_process(SHIPPED, LENTIGO_ENGINE="litert") as service:
        service.logged("model in use")
        upload = Upload(service)
        service.process.terminate()
        service.logged("stopping")
        assert service.process.poll() is None
        service.process.terminate()
        assert service.join() == 1
        upload.close()


def test_the_end_of_the_grace_period_ends_it_with_1() -> None:
    settings = {"LENTIGO_ENGINE": "litert", "LENTIGO_SHUTDOWN_GRACE_S": "1"}
    with service_process(SHIPPED, **settings) as service:
        service.logged("model in use")
        upload = Upload(service)
        assert service.stop() == 1
        service.logged("stopped with unfinished work", requests=1)
        upload.close()
