import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from lentigo_inference.observability.healthcheck import main


@contextmanager
def answering(status: int, body: bytes = b"{}") -> Iterator[int]:
    """A server with one answer to everything but the path that is asked for; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/v2/health/ready" else 500)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", ""])  # noqa: S104 - it asks loopback
def test_a_ready_service_is_healthy(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(200) as port:
        assert main({"LENTIGO_HOST": host, "LENTIGO_PORT": str(port)}) == 0
    assert capsys.readouterr().out == ""


def test_a_service_without_a_model_is_unhealthy_and_says_why(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with answering(503, b'{"detail": "no version"}') as port:
        assert main({"LENTIGO_PORT": str(port)}) == 1
    assert capsys.readouterr().out == '503: {"detail": "no version"}\n'


def test_a_service_that_does_not_run_is_unhealthy(capsys: pytest.CaptureFixture[str]) -> None:
    # Held, so that no other process can begin to listen on it.
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        assert main({"LENTIGO_PORT": str(held.getsockname()[1])}) == 1
    assert capsys.readouterr().out.startswith("no answer: ")


def test_an_invalid_port_is_unhealthy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main({"LENTIGO_PORT": "many"}) == 1
    assert "no answer" in capsys.readouterr().out
