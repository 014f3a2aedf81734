"""Images by URL: from a real server that answers, refuses, drips or hangs."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from lentigo_contract.errors import ImageTooLargeError
from lentigo_inference.errors import FetchError, FetchFailure
from lentigo_inference.scoring.fetching import Fetcher
from lentigo_inference.scoring.items import LocalFile, Place, Url


@contextmanager
def server(*answer: bytes) -> Iterator[str]:
    """Accept connections, send the pieces of an answer to each, and then hang."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kept: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                kept.append(connection)
                # The client may have lost patience already.
                with suppress(OSError):
                    connection.recv(65_536)
                    for piece in answer:
                        connection.sendall(piece)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/image.jpg"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in kept:
                connection.close()


def head(status: str, length: int) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n".encode()


def fetched(place: Place, timeout_s: float = 30) -> bytes:
    with closing(Fetcher(1000, timeout_s)) as fetcher:
        return fetcher.fetch(place)


def reason_of(place: Place, timeout_s: float = 30) -> FetchFailure:
    with pytest.raises(FetchError) as caught:
        fetched(place, timeout_s)
    return caught.value.reason


def test_a_url_gives_its_bytes() -> None:
    with server(head("200 OK", 5), b"image") as url:
        assert fetched(Url(url)) == b"image"


def test_a_url_with_more_than_the_limit_is_read_no_further() -> None:
    with server(head("200 OK", 10**9), bytes(5000)) as url, pytest.raises(ImageTooLargeError):
        fetched(Url(url))


def test_a_url_that_hangs_ends_with_the_time_limit() -> None:
    with server() as url:
        assert reason_of(Url(url), 0.2) == FetchFailure.TIMEOUT
    with server(head("200 OK", 100), b"half") as url:
        assert reason_of(Url(url), 0.2) == FetchFailure.TIMEOUT


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("404 Not Found", FetchFailure.NOT_FOUND),
        ("403 Forbidden", FetchFailure.UNREADABLE),
        ("500 Internal Server Error", FetchFailure.UNREADABLE),
    ],
)
def test_a_refusal_is_told_by_its_reason(status: str, reason: FetchFailure) -> None:
    with server(head(status, 0)) as url:
        assert reason_of(Url(url)) == reason


def test_nobody_at_the_address_is_told() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/x.jpg"
        assert reason_of(Url(url)) == FetchFailure.UNREADABLE


def test_a_scheme_that_nobody_reads_is_told() -> None:
    assert reason_of(Url("nosuch://bucket/x.jpg")) == FetchFailure.UNSUPPORTED_URL


def test_a_file_that_is_missing_or_no_file_is_told(tmp_path: Path) -> None:
    assert reason_of(LocalFile(tmp_path / "x")) == FetchFailure.NOT_FOUND
    assert reason_of(LocalFile(tmp_path)) == FetchFailure.UNREADABLE
