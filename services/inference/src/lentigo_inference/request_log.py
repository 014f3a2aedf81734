"""Around every request: its id, its line in the log, metrics, a span, and a net under errors."""

import re
import time
from typing import Any, Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lentigo_inference.api.problems import unexpected_problem
from lentigo_inference.errors import INTERNAL
from lentigo_inference.observability.metrics import Metrics, known_method
from lentigo_inference.observability.tracing import Tracing, parent_of, trace_id_of
from lentigo_inference.refusal_log import RefusalLog
from lentigo_inference.serving.request_record import RequestRecord, uuid7

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

HEADER: Final = "X-Request-ID"

# The one name of all paths that match no route.
UNMATCHED: Final = "unmatched"

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

    The line has method, route, status and times. It has nothing of the image but its digest, no
    file name, no query and no path that matched no route: any of them may name a patient.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, tracing: Tracing | None) -> None:
        """Wrap an application."""
        self._app = app
        self._metrics = metrics
        self._tracing = tracing
        self._refusals = RefusalLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; other kinds of traffic pass."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        record = RequestRecord()
        scope.setdefault("state", {}).update(request_id=request_id, record=record)
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                answered = MutableHeaders(scope=message)
                answered[HEADER] = request_id
                for name, value in _FIXED_HEADERS.items():
                    answered.setdefault(name, value)
            await send(message)

        parent, method = parent_of(headers), known_method(scope["method"])
        span = self._tracing and self._tracing.begin(method, scope["path"], parent)
        trace_id = trace_id_of(span.context if span else parent)
        bound = {"request_id": request_id, **({"trace_id": trace_id} if trace_id else {})}
        started = time.perf_counter()
        with structlog.contextvars.bound_contextvars(**bound):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception:
                _log.exception("unforeseen error")
                record.refuse(INTERNAL.slug)
                if status:
                    raise
                await unexpected_problem(request_id)(scope, receive, send_with_id)
            finally:
                took = time.perf_counter() - started
                route = _route(scope)
                if record.refused_at_once:
                    self._refusals.count(record)
                else:
                    _log.info(
                        "request",
                        method=scope["method"],
                        route=route or UNMATCHED,
                        status=status,
                        milliseconds=round(took * 1000, 1),
                        **record.log_fields(),
                    )
                self._metrics.answered(method, route or UNMATCHED, status, took, record)
                if self._tracing and span:
                    name = f"{method} {route}" if route else method
                    self._tracing.end(span, name, status, record)


def _request_id(headers: Headers) -> str:
    sent = headers.get(HEADER, "")
    return sent if _ACCEPTED_ID.fullmatch(sent) else str(uuid7())


def _route(scope: Scope) -> str | None:
    """Give the template of the route, such as `/v2/models/{model}`."""
    route: Any = scope.get("route")
    return getattr(route, "path", None)
