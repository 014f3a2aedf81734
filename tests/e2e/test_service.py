"""One service, from an empty repository to its third version."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from lentigo_contract.imaging.read import read_image
from lentigo_contract.labels import CODES
from lentigo_contract.repository.store import ModelStore
from tests.e2e.service_process import (
    COMMAND,
    DEADLINE_S,
    ServiceProcess,
    environment,
    service_process,
)
from tests.fakes import jpeg_bytes, lesion_image
from tests.models import SavedModels, expected

PREDICTIONS = "/v1/predictions"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    return ModelStore(tmp_path_factory.mktemp("repository") / "models")


@pytest.fixture(scope="module")
def empty_service(store: ModelStore) -> Iterator[ServiceProcess]:
    with service_process(store.root) as service:
        yield service


@pytest.fixture(scope="module")
def service(
    empty_service: ServiceProcess, store: ModelStore, saved_models: SavedModels
) -> ServiceProcess:
    """The same process, after a version appeared."""
    assert empty_service.client.get("/v2/health/live").status_code == 200
    ready = empty_service.client.get("/v2/health/ready")
    assert ready.status_code == 503
    assert "published" in ready.json()["detail"]
    assert empty_service.client.post(PREDICTIONS, content=jpeg_bytes()).status_code == 503
    saved_models.publish(store, seed=1)
    empty_service.logged("model in use", version=1)
    assert empty_service.client.get("/v2/health/ready").status_code == 200
    return empty_service


def raw_answer(service: ServiceProcess, head: str, body: bytes = b"") -> bytes:
    """Speak HTTP by hand, and give the first line of the answer."""
    with socket.create_connection(service.address, timeout=DEADLINE_S) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        # It may answer and close before it has read everything.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(body)
        with connection.makefile("rb") as answer:
            return answer.readline()


def assert_serves(service: ServiceProcess, version: int | None = None) -> None:
    response = service.client.post(PREDICTIONS, files={"image": jpeg_bytes()})
    assert response.status_code == 200
    if version is not None:
        assert response.json()["model"]["version"] == str(version)


def test_it_answers_as_the_network_computes(service: ServiceProcess) -> None:
    data = jpeg_bytes(lesion_image(4, "mel"))
    answer = service.client.post(PREDICTIONS, files={"image": ("lesion.jpg", data)}).json()
    seed = {"1": 1, "2": 2}[answer["model"]["version"]]
    truth = expected(read_image(data).pixels[None], seed).probabilities[0]
    served = {entry["code"]: entry["probability"] for entry in answer["probabilities"]}
    assert [served[code] for code in CODES] == pytest.approx(truth, abs=1e-5)


def test_a_new_version_is_loaded_and_a_broken_one_is_not(
    service: ServiceProcess, store: ModelStore, saved_models: SavedModels
) -> None:
    saved_models.publish(store, seed=2)
    service.logged("model in use", version=2)
    assert_serves(service, version=2)
    saved_models.publish(store, 3, flaw="nan")
    service.logged("model refused", version=3)
    assert_serves(service, version=2)
    index = service.client.post("/v2/repository/index").json()
    assert [entry["state"] for entry in index] == ["UNAVAILABLE", "READY", "UNAVAILABLE"]
    assert "finite" in index[2]["reason"]


def test_a_hundred_megabytes_announced_are_refused(service: ServiceProcess) -> None:
    head = f"POST {PREDICTIONS} HTTP/1.1\nHost: x\nContent-Type: image/jpeg\n"
    assert b" 413 " in raw_answer(service, head + "Content-Length: 104857600", bytes(1000))
    assert_serves(service)


def test_a_hundred_megabytes_sent_under_a_small_length_are_not_read_as_one(
    service: ServiceProcess,
) -> None:
    head = f"POST {PREDICTIONS} HTTP/1.1\nHost: x\nContent-Type: image/jpeg\nContent-Length: 1000"
    assert b" 415 " in raw_answer(service, head, bytes(100 * 2**20))
    assert_serves(service)


def test_a_hundred_megabytes_in_chunks_are_refused_where_the_limit_is(
    service: ServiceProcess,
) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield bytes(2**20)

    response = service.client.post(
        PREDICTIONS, content=chunks(), headers={"Content-Type": "image/jpeg"}
    )
    assert response.status_code == 413
    assert_serves(service)


def test_bytes_that_are_not_http_do_no_harm(service: ServiceProcess) -> None:
    assert b" 400 " in raw_answer(service, "\x16\x03\x01 no http at all")
    assert_serves(service)


def test_noise_is_refused_and_nothing_of_it_is_logged(service: ServiceProcess) -> None:
    noise = np.random.default_rng(0).bytes(50_000)
    response = service.client.post(PREDICTIONS, files={"image": ("Jane-Doe.jpg", noise)})
    assert response.status_code == 415
    service.logged("request", status=415, request_id=response.headers["x-request-id"])
    assert "Jane-Doe" not in "\n".join(service.lines)


def test_a_second_service_on_its_port_says_so_and_ends(
    service: ServiceProcess, tmp_path: Path
) -> None:
    second = subprocess.run(
        COMMAND,
        env=environment(tmp_path, LENTIGO_PORT=str(service.address[1])),
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    (line,) = second.stderr.splitlines()
    assert f"cannot listen on 127.0.0.1 port {service.address[1]}" in line
    assert_serves(service)
