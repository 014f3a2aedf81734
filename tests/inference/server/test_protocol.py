"""HTTP as it comes over a real socket: what clients really send, and what attackers might."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, cast

import pytest
import structlog

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes
from tests.inference.live_app import PREDICTIONS
from tests.inference.network import DEADLINE_S, Listening, listening
from tests.models import publish_plain

DATA = jpeg_bytes()
LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"


def post(*headers: str, body: bytes = DATA) -> bytes:
    lines = "".join(f"{line}\r\n" for line in ("Host: x", "Content-Type: image/jpeg", *headers))
    return f"POST {PREDICTIONS} HTTP/1.1\r\n{lines}\r\n".encode() + body


CHUNKED = "Transfer-Encoding: chunked"
SIZED = f"Content-Length: {len(DATA)}"


@pytest.fixture
def settings(settings: Settings, store: ModelStore) -> Settings:
    publish_plain(store, 1)
    return settings


def connected(service: Listening) -> socket.socket:
    return socket.create_connection(service.address, timeout=DEADLINE_S)


@contextmanager
def talking(service: Listening) -> Iterator[tuple[socket.socket, BinaryIO]]:
    """Connect: where to send, and where to read, byte by byte as it comes."""
    with connected(service) as connection, connection.makefile("rb", buffering=0) as answer:
        yield connection, cast("BinaryIO", answer)


def status_of(answer: BinaryIO) -> int:
    """Read one answer that has a length, and give its status."""
    status = int(answer.readline().split()[1])
    length = 0
    while line := answer.readline().strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while length > 0:
        length -= len(answer.read(length) or b"")
    return status


def test_an_upgrade_to_http_2_is_ignored_and_the_connection_continues(
    settings: Settings,
) -> None:
    """As `java.net.http.HttpClient` offers it with every request that is not encrypted."""
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIA")
    with listening(settings) as service, talking(service) as (connection, answer):
        for _ in range(2):
            connection.sendall(post(*offer, SIZED))
            assert status_of(answer) == 200


@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_an_upgrade_request_in_pieces_keeps_its_chunked_body(
    settings: Settings, pieces: int
) -> None:
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(DATA), DATA)
    sent = post("Connection: Upgrade", "Upgrade: h2c", CHUNKED, body=body)
    size = -(-len(sent) // pieces)
    with listening(settings) as service, talking(service) as (connection, answer):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(sent), size):
            connection.sendall(sent[start : start + size])
        assert status_of(answer) == 200


def test_a_client_that_expects_100_continue_gets_it(settings: Settings) -> None:
    """As curl does before a large upload."""
    with listening(settings) as service, talking(service) as (connection, answer):
        connection.sendall(post(SIZED, "Expect: 100-continue", body=b""))
        assert answer.readline().startswith(b"HTTP/1.1 100 ")
        assert answer.readline() == b"\r\n"
        connection.sendall(DATA)
        assert status_of(answer) == 200


def test_pipelined_requests_are_answered_in_order(
    settings: Settings,
) -> None:
    with listening(settings) as service, talking(service) as (connection, answer):
        connection.sendall(post(SIZED) + LIVE + b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        assert [status_of(answer) for _ in range(3)] == [200, 200, 404]


def test_an_upload_larger_than_what_is_read_ahead_arrives_whole(settings: Settings) -> None:
    large = DATA + bytes(3 * 2**20)
    with listening(settings) as service, talking(service) as (connection, answer):
        connection.sendall(post(f"Content-Length: {len(large)}", body=large) + LIVE)
        assert [status_of(answer) for _ in range(2)] == [200, 200]


def test_a_refused_upload_leaves_the_connection_to_the_next_request(settings: Settings) -> None:
    full = settings.model_copy(update={"max_upload_bytes": 1000})
    with listening(full) as service, talking(service) as (connection, answer):
        for _ in range(2):
            connection.sendall(post(SIZED))
            assert status_of(answer) == 413
        connection.sendall(LIVE)
        assert status_of(answer) == 200


@pytest.mark.parametrize(
    ("beginning", "piece"),
    [
        (b"GET /v2/health/live HTTP/1.1\r\nX-Long: ", b"x" * 1000),
        (b"GET /v2/health/live HTTP/1.1\r\n", b"X-Many: x\r\n" * 100),
        (b"GET /", b"x" * 1000),
        (post(CHUNKED, body=b"1\r\nx\r\n0\r\nX-Trailer: "), b"x" * 1000),
        (post(CHUNKED, body=b"1;"), b"x" * 1000),
    ],
    ids=["one header", "many headers", "the path", "a trailer", "a chunk's extension"],
)
def test_data_that_is_neither_head_nor_body_is_limited(
    settings: Settings, beginning: bytes, piece: bytes
) -> None:
    with listening(settings) as service:
        with connected(service) as connection:
            connection.sendall(beginning)
            with suppress(ConnectionError):
                for _ in range(100_000):
                    connection.sendall(piece)
                pytest.fail("the service read a hundred megabytes of it")
        with talking(service) as (connection, answer):
            connection.sendall(LIVE)
            assert status_of(answer) == 200


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        post("Content-Length: 5", CHUNKED),
        post("Content-Length: -1"),
        post("Content-Length: 5", "Content-Length: 6"),
    ],
    ids=[
        "TLS",
        "no ASCII",
        "HTTP/9.9",
        "HTTP/2",
        "CONNECT",
        "two framings",
        "negative",
        "two lengths",
    ],
)
def test_malformed_http_is_400_and_ends_the_connection(settings: Settings, garbage: bytes) -> None:
    with listening(settings) as service, connected(service) as connection:
        connection.sendall(garbage)
        with connection.makefile("rb") as answer:
            assert answer.readline().startswith(b"HTTP/1.1 400 ")
            with suppress(ConnectionError):
                answer.read()
        service.until(lambda: service.shutdown.under_way == 0)


def test_a_complete_request_before_malformed_data_is_answered(settings: Settings) -> None:
    with listening(settings) as service, talking(service) as (connection, answer):
        connection.sendall(post(SIZED) + bytes(2**20))
        assert [status_of(answer) for _ in range(2)] == [200, 400]
        with suppress(ConnectionError):
            assert answer.read(1) == b""


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v2/health/ready", 200), ("/", 200), ("/nothing", 404), (PREDICTIONS, 405)],
)
def test_head_returns_the_headers_of_get_and_the_connection_continues(
    settings: Settings, path: str, status: int
) -> None:
    request = f"{{}} {path} HTTP/1.1\r\nHost: x\r\nX-Request-ID: r1\r\n\r\n"
    with listening(settings) as service, talking(service) as (connection, answer):
        heads = []
        for method in ("GET", "HEAD"):
            connection.sendall(request.format(method).encode())
            lines = list(iter(lambda: answer.readline().strip(), b""))
            length = next(int(each[15:]) for each in lines if each.startswith(b"content-length:"))
            assert length > 0
            while method == "GET" and length > 0:
                length -= len(answer.read(length) or b"")
            heads.append({each for each in lines if not each.startswith(b"date:")})
        assert heads[0] == heads[1]
        assert any(each.startswith(f"HTTP/1.1 {status} ".encode()) for each in heads[1])
        connection.sendall(LIVE)
        assert status_of(answer) == 200


def problem_in(received: bytes) -> dict[str, object]:
    """Read one response that is a problem document, up to the end of the connection."""
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    problem: dict[str, object] = json.loads(body)
    assert head.startswith(f"HTTP/1.1 {problem['status']} ".encode())
    assert f"x-request-id: {str(problem['instance']).rpartition(':')[2]}".encode() in head
    return problem


HOST = "Host: x\r\n"


@pytest.mark.parametrize(
    ("head", "slug", "status"),
    [
        ("GET /v2 HTTP/1.1\r\n", "malformed-http", 400),
        (f"GET /v2 HTTP/1.1\r\n{HOST}{HOST}", "malformed-http", 400),
        ("GET /v2 HTTP/1.1\r\nHost: a b\r\n", "malformed-http", 400),
        ("GET /v2 HTTP/1.1\r\nHost: x:y\r\n", "malformed-http", 400),
        (f"GET v2 HTTP/1.1\r\n{HOST}", "malformed-http", 400),
        (f"GET /v2 HTTP/1.1\r\n{HOST} folded", "malformed-http", 400),
        (f"POST {PREDICTIONS} HTTP/1.0\r\n{CHUNKED}\r\n", "malformed-http", 400),
        (
            f"POST {PREDICTIONS} HTTP/1.1\r\n{HOST}Transfer-Encoding: gzip, chunked\r\n",
            "unsupported-transfer-coding",
            501,
        ),
        (
            f"POST {PREDICTIONS} HTTP/1.1\r\n{HOST}Transfer-Encoding: gzip\r\n{CHUNKED}\r\n",
            "unsupported-transfer-coding",
            501,
        ),
        (f"GET /v2 HTTP/1.1\r\n{HOST}X-Long: {'x' * 70_000}\r\n", "head-too-long", 431),
        (f"GET /v2 HTTP/1.1\r\n{HOST}" + "a: b\r\n" * 100, "head-too-long", 431),
        (f"GET /v1/models?{'a=b&' * 2048} HTTP/1.1\r\n{HOST}", "target-too-long", 414),
    ],
    ids=[
        "no host",
        "two hosts",
        "a host with a space",
        "a port that is no number",
        "no path",
        "a folded line",
        "chunked in HTTP/1.0",
        "gzip, chunked",
        "gzip, then chunked",
        "a long head",
        "many headers",
        "a long target",
    ],
)
def test_a_head_that_the_standard_forbids_gets_a_problem_document_and_a_line(
    settings: Settings, head: str, slug: str, status: int
) -> None:
    with structlog.testing.capture_logs() as logs, listening(settings) as service:
        with connected(service) as connection:
            connection.sendall(head.encode() + b"\r\n")
            with suppress(ConnectionError), connection.makefile("rb") as answer:
                problem = problem_in(answer.read())
        with talking(service) as (connection, answer):
            connection.sendall(LIVE)
            assert status_of(answer) == 200
    assert (problem["type"], problem["status"]) == (f"urn:lentigo:problem:{slug}", status)
    refused, _ = (entry for entry in logs if entry["event"] == "request")
    assert (refused["status"], refused["problem"], refused["route"]) == (status, slug, "unmatched")
    assert refused["client"] == "127.0.0.1"


def test_http_1_0_without_a_host_and_a_url_as_target_are_answered(settings: Settings) -> None:
    with listening(settings) as service:
        for request in (
            b"GET /v2/health/live HTTP/1.0\r\n\r\n",
            b"GET http://x/v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        ):
            with connected(service) as connection, connection.makefile("rb") as answer:
                connection.sendall(request)
                assert answer.readline().startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "bad",
    [
        b"GET nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        post("Content-Length: 5", CHUNKED, body=b""),
    ],
    ids=["no URL", "no host", "TLS", "two framings"],
)
def test_good_requests_before_a_bad_one_are_answered_first(settings: Settings, bad: bytes) -> None:
    with listening(settings) as service, talking(service) as (connection, answer):
        connection.sendall(post(SIZED) + LIVE + bad + LIVE)
        assert [status_of(answer) for _ in range(3)] == [200, 200, 400]
        with suppress(ConnectionError):
            assert answer.read(1) == b""


def test_a_malformed_body_behind_a_good_request_does_not_cost_its_answer(
    settings: Settings,
) -> None:
    with listening(settings) as service, talking(service) as (connection, answer):
        connection.sendall(post(SIZED) + post(CHUNKED, body=b"1\r\nx\r\nzz\r\n\r\n"))
        assert [status_of(answer) for _ in range(2)] == [200, 400]


def test_a_connection_stays_open_between_requests_for_longer_than_a_head_may_take(
    settings: Settings,
) -> None:
    hasty = settings.model_copy(update={"upload_timeout_s": 0.5})
    with listening(hasty) as service, talking(service) as (connection, answer):
        connection.sendall(LIVE)
        assert status_of(answer) == 200
        with connected(service) as silent:
            # When it has closed, more time has passed than a head may take.
            assert silent.recv(1) == b""
        connection.sendall(LIVE)
        assert status_of(answer) == 200


def test_a_connection_closes_when_no_request_follows_in_time(settings: Settings) -> None:
    hasty = settings.model_copy(update={"keep_alive_s": 0.5})
    with listening(hasty) as service, talking(service) as (connection, answer):
        connection.sendall(LIVE)
        assert status_of(answer) == 200
        assert answer.read(1) == b""
