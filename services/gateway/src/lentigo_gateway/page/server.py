"""A small server of one page, on loopback, that changes nothing."""

import http.server
import socket
import threading
from datetime import UTC, datetime
from http import HTTPStatus
from importlib import resources
from typing import Any, Final

import jinja2

from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_gateway import __version__
from lentigo_gateway.config import PageConfig
from lentigo_gateway.errors import ListenError, WorkListError
from lentigo_gateway.worklist.entries import Entry
from lentigo_gateway.worklist.store import WorkList

_ENTRIES: Final = 100
_TIMEOUT_S: Final = 10.0
# A page of another site can make a browser ask us under its own name, never under these.
_OWN_NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
_HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class OperatorsPage:
    """Shows the counts of the work list and what changed last."""

    def __init__(self, config: PageConfig, worklist: WorkList) -> None:
        """Prepare the page; `start` listens."""
        self._config = config
        self._worklist = worklist
        self._template = _template()
        self._server: http.server.ThreadingHTTPServer | None = None

    def start(self) -> str:
        """Listen; return the address of the page.

        Raises:
            ListenError: the address cannot be listened on.
        """
        page = self

        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = _TIMEOUT_S
            server_version = "lentigo-gateway"
            sys_version = ""

            def do_GET(self) -> None:
                status, text = page.respond(self.path, self.headers.get("Host", ""))
                content = text.encode()
                self.send_response(status)
                for name, value in _HEADERS.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401
                """Log nothing: a request says nothing that an operator needs."""

        host, port = self._config.host, self._config.port

        class Server(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        try:
            self._server = Server((host, port), Handler)
        except OSError as error:
            raise ListenError(
                f"{host} port {port} cannot be listened on: {error.strerror}. Name another in "
                "[page]."
            ) from error
        threading.Thread(target=self._server.serve_forever, name="page", daemon=True).start()
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{self._server.server_address[1]}/"

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def respond(self, path: str, host: str) -> tuple[HTTPStatus, str]:
        """Return the status and the page for a path, asked under a host."""
        if _without_port(host) not in _OWN_NAMES:
            return HTTPStatus.MISDIRECTED_REQUEST, "Ask for 127.0.0.1."
        if path != "/":
            return HTTPStatus.NOT_FOUND, "There is only /."
        try:
            counts, entries = self._worklist.counts(), self._worklist.latest(_ENTRIES)
        except WorkListError as error:
            return HTTPStatus.SERVICE_UNAVAILABLE, str(error)
        return HTTPStatus.OK, self._template.render(
            version=__version__,
            notice=RESEARCH_NOTICE,
            now=_shown(datetime.now(UTC).timestamp()),
            counts=counts,
            entries=[_row(entry) for entry in entries],
            limit=_ENTRIES,
        )


def _template() -> jinja2.Template:
    source = resources.files("lentigo_gateway.page").joinpath("worklist.html.j2").read_text("utf-8")
    return jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source)


def _row(entry: Entry) -> dict[str, object]:
    return {
        "id": entry.id,
        "state": entry.state,
        "reason": entry.reason,
        "failures": entry.failures,
        "found": _shown(entry.found_at),
        "changed": _shown(entry.changed_at),
        "study": entry.instance.study_instance_uid,
        "instance": entry.instance.sop_instance_uid,
    }


def _shown(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S}"


def _without_port(host: str) -> str:
    name = host.strip().lower()
    return name.partition("]")[0] + "]" if name.startswith("[") else name.partition(":")[0]
