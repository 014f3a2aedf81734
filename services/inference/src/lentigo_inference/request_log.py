"""Around every request: its id, one line in the log, and a last net under unforeseen errors."""

import re
import time
from typing import Any, Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lentigo_inference.identifiers import uuid7
from lentigo_inference.problems import unexpected_problem

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

HEADER: Final = "X-Request-ID"

# Long enough for any scheme in use, and harmless in a header, a URN and a log line.
_ACCEPTED_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)

_FIXED_HEADERS: Final = {
    # A diagnosis belongs in no cache, and no browser shall guess at types.
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # For whatever a browser might make of an answer; the page brings a policy of its own.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}


class RequestLog:
    """ASGI middleware, outermost of ours.

    The line has method, route, status and milliseconds. It has nothing of the image, no file name,
    no query and no path that matched no route: any of them may name a patient.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; other kinds of traffic pass."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[HEADER] = request_id
                for name, value in _FIXED_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        started = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception:
                _log.exception("unforeseen error")
                if status:
                    raise
                await unexpected_problem(request_id)(scope, receive, send_with_id)
            finally:
                took_ms = round((time.perf_counter() - started) * 1000, 1)
                _log.info(
                    "request",
                    method=scope["method"],
                    route=_route(scope),
                    status=status,
                    milliseconds=took_ms,
                    **scope["state"].get("log_fields", {}),
                )


def _request_id(scope: Scope) -> str:
    sent = Headers(scope=scope).get(HEADER, "")
    return sent if _ACCEPTED_ID.fullmatch(sent) else str(uuid7())


def _route(scope: Scope) -> str:
    route: Any = scope.get("route")
    return str(getattr(route, "path", "unmatched"))
