"""Clients that send slowly, for ever, or leave: over a real socket, as they do."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest
import structlog

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes
from tests.inference.held_engine import HeldEngine
from tests.inference.live_app import PREDICTIONS
from tests.inference.network import DEADLINE_S, Listening, listening
from tests.models import publish_plain

DATA = jpeg_bytes()
HEAD = (
    f"POST {PREDICTIONS} HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
    f"Content-Length: {len(DATA)}\r\n\r\n"
).encode()


@pytest.fixture
def engine() -> Iterator[HeldEngine]:
    engine = HeldEngine()
    yield engine
    engine.opened.set()


@pytest.fixture
def hasty(settings: Settings, store: ModelStore) -> Settings:
    """Waits a second for what a client sends: enough for one that sends, on a busy machine too."""
    publish_plain(store, 1)
    return settings.model_copy(update={"upload_timeout_s": 1})


@pytest.fixture
def patient(settings: Settings, store: ModelStore) -> Settings:
    publish_plain(store, 1)
    return settings


def connected(service: Listening) -> socket.socket:
    return socket.create_connection(service.address, timeout=DEADLINE_S)


def assert_serves(service: Listening) -> None:
    answer = httpx.post(service.url + PREDICTIONS, content=DATA, timeout=DEADLINE_S)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "beginning",
    [b"", b"POST ", HEAD[:-2], b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\nGET "],
    ids=["nothing", "half a line", "no end of the head", "half a second request"],
)
def test_a_head_that_never_ends_closes_the_connection(hasty: Settings, beginning: bytes) -> None:
    with listening(hasty) as service, connected(service) as connection:
        connection.sendall(beginning)
        with connection.makefile("rb") as answer:
            # All of it, up to the end of the connection.
            received = answer.read()
        assert received.count(b"HTTP/1.1") == beginning.count(b"live")
        assert_serves(service)


def test_a_head_sent_byte_by_byte_closes_the_connection(hasty: Settings) -> None:
    with listening(hasty) as service, connected(service) as connection:
        connection.settimeout(0.01)
        connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nX-Slow: ")
        with suppress(ConnectionError):
            for _ in range(int(DEADLINE_S / 0.01)):
                connection.sendall(b"x")
                # Between two drops, and until the service has had enough.
                with suppress(TimeoutError):
                    assert connection.recv(1) == b""
                    break
            else:
                pytest.fail("the connection stayed open")
        assert_serves(service)


@pytest.mark.parametrize("path", [PREDICTIONS, "/v2/repository/index", "/v2/models/lentigo/infer"])
def test_a_body_that_never_ends_is_408(hasty: Settings, path: str) -> None:
    with listening(hasty) as service, connected(service) as connection:
        connection.sendall(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{{".encode()
        )
        with connection.makefile("rb") as answer:
            received = answer.read()
        assert received.startswith(b"HTTP/1.1 408 ")
        assert b"urn:lentigo:problem:upload-timeout" in received
        service.until(lambda: service.shutdown.under_way == 0)
        assert_serves(service)


def test_a_request_under_way_is_waited_for_however_long_it_takes(
    hasty: Settings, engine: HeldEngine
) -> None:
    with (
        listening(hasty, lambda _stored: engine) as service,
        connected(service) as working,
        ThreadPoolExecutor(1) as beside,
    ):
        engine.holding.set()
        working.sendall(HEAD + DATA)
        assert engine.reached.wait(DEADLINE_S)
        with connected(service) as idle:
            # When it has closed, more time has passed than a head may take.
            assert beside.submit(idle.recv, 1).result(DEADLINE_S) == b""
        engine.opened.set()
        with working.makefile("rb") as answer:
            assert b" 200 " in answer.readline()


def test_a_client_that_leaves_during_its_upload_frees_its_place(patient: Settings) -> None:
    with listening(patient.model_copy(update={"max_pending": 1})) as service:
        for _ in range(3):
            with connected(service) as connection:
                connection.sendall(HEAD + DATA[:100])
                service.until(lambda: service.shutdown.under_way == 1)
            service.until(lambda: service.shutdown.under_way == 0)
        assert_serves(service)


def test_a_client_that_leaves_in_the_queue_costs_no_inference_and_harms_no_other(
    patient: Settings, engine: HeldEngine
) -> None:
    with (
        listening(patient, lambda _stored: engine) as service,
        connected(service) as first,
        connected(service) as stays,
    ):
        engine.holding.set()
        first.sendall(HEAD + DATA)
        assert engine.reached.wait(DEADLINE_S)
        stays.sendall(HEAD + DATA)
        service.until(lambda: service.shutdown.under_way == 2)
        with connected(service) as leaves:
            leaves.sendall(HEAD + DATA)
            service.until(lambda: service.shutdown.under_way == 3)
        service.until(lambda: service.shutdown.under_way == 2)
        engine.opened.set()
        for connection in (first, stays):
            with connection.makefile("rb") as answer:
                assert b" 200 " in answer.readline()
        assert engine.seen == 2


@pytest.mark.parametrize(
    ("kind", "answered"),
    [("image/jpeg", False), ("text/plain", False), ("text/plain", True)],
    ids=["while it is read", "before a refusal", "behind a refusal"],
)
def test_a_malformed_body_ends_its_connection_and_nothing_fails(
    patient: Settings, caplog: pytest.LogCaptureFixture, kind: str, answered: bool
) -> None:
    head = f"POST {PREDICTIONS} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n"
    with structlog.testing.capture_logs() as logs, listening(patient) as service:
        for garbage in (b"zz\r\n\r\n", b"-1\r\n", b"5\r\nhello??"):
            with connected(service) as connection:
                chunked = head.encode() + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
                connection.sendall(chunked if answered else chunked + garbage)
                with connection.makefile("rb") as answer:
                    first = answer.readline()
                    if answered:
                        connection.sendall(garbage)
                    # All of it, up to the end of the connection.
                    with suppress(ConnectionError):
                        answer.read()
                assert first.startswith(b"HTTP/1.1 4")
        service.until(lambda: service.shutdown.under_way == 0)
        assert_serves(service)
    assert not [entry for entry in logs if entry["log_level"] == "error"]
    assert "Exception in ASGI" not in caplog.text
