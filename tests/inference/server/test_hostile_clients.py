"""Clients that would take the service down, or wash away its log, without a key."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
import structlog

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.server.connections import (
    ConnectionLimits,
    LoopErrorLog,
    Occasional,
    connections_within,
)
from lentigo_inference.server.protocol import LimitedProtocol
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes
from tests.inference.live_app import PREDICTIONS
from tests.inference.network import DEADLINE_S, Listening, listening, unread
from tests.models import publish_plain

DATA = jpeg_bytes()
LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
OFFER = (
    b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    b"Upgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIA\r\n\r\n"
)
LONG = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
LARGEST = (
    b"GET /page/offline/litert/litert_wasm_compat_internal.wasm HTTP/1.1\r\nHost: x\r\n"
    b"Accept-Encoding: br\r\nContent-Length: 300000\r\n\r\n"
)


@pytest.fixture
def settings(settings: Settings, store: ModelStore) -> Settings:
    publish_plain(store, 1)
    return settings


@pytest.fixture
def logs() -> Iterator[list[structlog.typing.EventDict]]:
    with structlog.testing.capture_logs() as logs:
        yield logs


def connected(service: Listening) -> socket.socket:
    return socket.create_connection(service.address, timeout=DEADLINE_S)


def everything(connection: socket.socket) -> bytes:
    """Read up to the end of the connection."""
    received = bytearray()
    with suppress(ConnectionError):
        while piece := connection.recv(2**16):
            received += piece
    return bytes(received)


def assert_serves(service: Listening) -> None:
    with connected(service) as connection:
        connection.sendall(LIVE.replace(b"Host: x", b"Host: x\r\nConnection: close"))
        assert everything(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("request_", [OFFER, LIVE], ids=["upgrades", "plain"])
def test_requests_sent_without_waiting_are_answered_up_to_a_number_and_then_it_closes(
    settings: Settings,
    request_: bytes,
    logs: list[structlog.typing.EventDict],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with listening(settings) as service:
        with connected(service) as connection:
            connection.sendall(request_ * 1500)
            received = everything(connection)
        assert_serves(service)
    answers = received.count(b"HTTP/1.1 200 ")
    assert answers >= 1
    assert received.count(b"HTTP/1.1 ") == answers
    assert b"connection: close" in received.rpartition(b"HTTP/1.1 ")[2]
    # The exporter of another test may still look for its collector.
    ours = [each for each in caplog.records if not each.name.startswith("opentelemetry.")]
    assert ours == []
    assert not [entry for entry in logs if entry["log_level"] != "info"]


def test_as_many_as_may_wait_on_a_connection_are_all_answered(settings: Settings) -> None:
    count = ConnectionLimits().max_pipelined + 1
    with listening(settings) as service, connected(service) as connection:
        last = LIVE.replace(b"Host: x", b"Host: x\r\nConnection: close")
        connection.sendall(OFFER * (count - 1) + last)
        assert everything(connection).count(b"HTTP/1.1 200 ") == count


def test_idle_connections_beyond_the_limit_make_way_and_leave_one_line(
    settings: Settings, logs: list[structlog.typing.EventDict]
) -> None:
    few = settings.model_copy(update={"max_connections": 8})
    with listening(few) as service, ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(connected(service))
        assert_serves(service)
        assert len(service.server.server_state.connections) <= 8
    assert [entry["event"] for entry in logs].count("connections at their limit") == 1
    assert len(logs) < 10


def test_the_connection_that_makes_way_is_the_one_that_is_idle_longest(
    settings: Settings,
) -> None:
    few = settings.model_copy(update={"max_connections": 2})
    with listening(few) as service, connected(service) as oldest, connected(service) as busy:
        # Answered, so both are known to the service.
        for connection in (oldest, busy):
            connection.sendall(LIVE)
            assert connection.recv(12) == b"HTTP/1.1 200"
        with connected(service):
            assert b'{"live":true}' in everything(oldest)
        assert_serves(service)


def test_connections_whose_requests_are_under_way_are_kept_and_others_told_so(
    settings: Settings, logs: list[structlog.typing.EventDict]
) -> None:
    few = settings.model_copy(update={"max_connections": 2})
    head = f"POST {PREDICTIONS} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(DATA)}\r\n\r\n"
    with listening(few) as service, ExitStack() as stack:
        uploads = [stack.enter_context(connected(service)) for _ in range(2)]
        for upload in uploads:
            upload.sendall(head.encode())
        service.until(lambda: service.shutdown.under_way == 2)
        for _ in range(3):
            with connected(service) as third:
                received = everything(third)
                assert received.startswith(b"HTTP/1.1 503 ")
                assert b"application/problem+json" in received
        for upload in uploads:
            upload.sendall(DATA)
            assert upload.recv(12) == b"HTTP/1.1 200"
    # They are counted, and not listed.
    assert [entry["status"] for entry in logs if entry["event"] == "request"] == [200, 200]


@pytest.mark.parametrize(
    ("wanted", "descriptors", "allowed"),
    [(1024, 20_000, 1024), (1024, 1024, 896), (1024, 256, 128), (8, 256, 8), (8, -1, 8), (9, 1, 1)],
)
def test_connections_leave_descriptors_for_everything_else(
    wanted: int, descriptors: int, allowed: int
) -> None:
    assert connections_within(wanted, descriptors) == allowed


def test_connections_that_cannot_be_accepted_are_one_line_a_minute(
    logs: list[structlog.typing.EventDict],
) -> None:
    now = 0.0
    handle = LoopErrorLog(Occasional(60, lambda: now))
    context = {"message": "socket.accept()", "exception": OSError(24, "Too many"), "socket": None}
    for _ in range(1000):
        handle(None, context)  # type: ignore[arg-type]
    now = 60.0
    handle(None, context)  # type: ignore[arg-type]
    handle(None, {"message": "Task exception was never retrieved"})  # type: ignore[arg-type]
    assert [entry["event"] for entry in logs] == [
        "connections cannot be accepted",
        "connections cannot be accepted",
        "unforeseen error",
    ]


def test_a_client_that_does_not_take_its_response_is_cut_off(
    settings: Settings, logs: list[structlog.typing.EventDict]
) -> None:
    hasty = settings.model_copy(update={"download_timeout_s": 0.5})
    with listening(hasty) as service, unread(service, LONG):
        service.until(lambda: not service.server.server_state.connections)
    (line,) = [entry for entry in logs if entry["event"] == "response not taken"]
    assert line["client"] == "127.0.0.1"


def protocols(service: Listening) -> list[LimitedProtocol]:
    return [
        each
        for each in service.server.server_state.connections
        if isinstance(each, LimitedProtocol)
    ]


def test_a_large_response_waits_for_its_client_where_all_clients_share_it(
    settings: Settings,
) -> None:
    with listening(settings) as service, ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(unread(service, LARGEST))
        waiting = [each.transport.get_write_buffer_size() for each in protocols(service)]
    assert len(waiting) == 4
    assert max(waiting) < 100_000


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="an option of Linux and macOS")
def test_little_of_a_response_waits_in_the_system(settings: Settings) -> None:
    option = (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
    with listening(settings) as service, unread(service, LONG):
        (protocol,) = protocols(service)
        assert protocol.transport.get_extra_info("socket").getsockopt(*option) == 128 * 2**10


def test_a_body_that_nobody_reads_is_dropped_once_the_response_begins(settings: Settings) -> None:
    with listening(settings) as service, unread(service, LARGEST) as connection:
        connection.sendall(bytes(300_000))
        (protocol,) = protocols(service)
        service.until(lambda: not protocol._in_body)
        assert len(protocol.cycle.body) == 0
        assert protocol.under_way()


def test_clients_that_read_nothing_make_way_for_others(settings: Settings) -> None:
    few = settings.model_copy(update={"max_connections": 2})
    with listening(few) as service, unread(service, LARGEST) as longest, unread(service, LARGEST):
        assert all(each.under_way() for each in protocols(service))
        assert_serves(service)
        with suppress(ConnectionError):
            while longest.recv(2**16):
                pass


def test_a_client_that_takes_its_response_slowly_gets_all_of_it(settings: Settings) -> None:
    with listening(settings) as service, unread(service, LONG) as connection:
        connection.sendall(LIVE.replace(b"Host: x", b"Host: x\r\nConnection: close"))
        received = b"H" + everything(connection)
    assert received.count(b"HTTP/1.1 200 ") == 2
    assert b'{"openapi":' in received


def test_a_client_that_does_not_read_does_not_hold_up_the_end(settings: Settings) -> None:
    patient = settings.model_copy(update={"shutdown_grace_s": 3600, "download_timeout_s": 3600})
    with listening(patient) as service, unread(service, LONG):
        service.server.should_exit = True
        service.join()
        assert service.ended == []
