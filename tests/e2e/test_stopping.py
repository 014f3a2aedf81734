"""SIGTERM, at the moments when it hurts."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lentigo_contract.store import ModelStore
from tests.e2e.service_process import DEADLINE_S, ServiceProcess, service_process
from tests.fakes import jpeg_bytes
from tests.models import SavedModels


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
    data = jpeg_bytes()
    with service_process(store.root) as service:
        service.logged("model in use")
        with socket.create_connection(service.address, timeout=DEADLINE_S) as connection:
            connection.sendall(
                b"POST /v1/predictions HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
                b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(data)
            )
            with connection.makefile("rb") as answer:
                # The service asks for the body, so it has accepted the request.
                assert b" 100 " in answer.readline()
                assert answer.readline() == b"\r\n"
                connection.sendall(data[:100])
                service.process.terminate()
                service.logged("stopping")
                connection.sendall(data[100:])
                assert b" 200 " in answer.readline()
        assert service.join() == 0
        assert not any("Traceback" in line for line in service.lines)
