"""Around every request: its id, its line in the log, metrics, a span, and a net under errors.

Requests that were refused for overload: one line a second, not one each.

A line costs as much as the refusal itself, and whoever looks at the log then wants to know how many
they were, why, and whose, rather than to scroll past them.

HEAD, which is GET without the body: what `curl -I` and many a health check send.

RFC 9110, section 9.1, asks it of every server; FastAPI's routes answer 405.

What is refused before it costs anything: predictions, while as many as allowed are under way.

The routes would refuse them as well. But under a load of several times what the service can answer,
finding that out behind FastAPI's layers takes the processor from the predictions that were let in
(docs/decisions/0013-shed-load-before-fastapi.md).
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lentigo_inference.api.dependencies import presented_key
from lentigo_inference.api.problems import refusal, unexpected_problem
from lentigo_inference.errors import UnavailableError
from lentigo_inference.observability.metrics import Metrics, known_method
from lentigo_inference.observability.tracing import Tracing, parent_of, trace_id_of
from lentigo_inference.problem_types import INTERNAL
from lentigo_inference.serving.request_record import RequestRecord, uuid7

if TYPE_CHECKING:
    from lentigo_inference.api.dependencies import AppState


_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

_NO_KEY: Final = "none"


class RefusalLog:
    """Counts refusals, and tells them some time after the first. Used on the event loop alone."""

    def __init__(self, interval_s: float = 1.0) -> None:
        """Start with none; `interval_s` is how long they are counted, in seconds."""
        self._interval_s = interval_s
        self._counts: Counter[tuple[str, str]] = Counter()

    def count(self, record: RequestRecord) -> None:
        """Count one, by its problem and its key."""
        if not self._counts:
            asyncio.get_running_loop().call_later(self._interval_s, self._tell)
        self._counts[record.problem or "", record.key or _NO_KEY] += 1

    def _tell(self) -> None:
        for (problem, key), requests in sorted(self._counts.items()):
            _log.warning("requests refused", problem=problem, key=key, requests=requests)
        self._counts.clear()


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


class Head:
    """ASGI middleware: routes see GET, the client gets the head of its answer."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; whatever is not HEAD passes."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            # For the server, which writes no body for it, and for the log.
            scope["method"] = "HEAD"
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        scope["method"] = "GET"
        try:
            await self._app(scope, receive, send_head)
        finally:
            scope["method"] = "HEAD"


class Overload:
    """ASGI middleware between the log and the application.

    Whoever is refused here was not asked for a key, and learns no more than that the service is
    busy or being stopped. A key that proved right before is named in the log all the same.
    """

    def __init__(self, app: ASGIApp, predicting: Sequence[BaseRoute]) -> None:
        """Wrap an application whose lifespan yields `AppState`.

        Args:
            app: the application.
            predicting: its routes that predict; requests for any other route pass.
        """
        self._app = app
        self._predicting = predicting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; whatever is not a prediction passes."""
        if scope["type"] == "http":
            services: AppState = scope["state"]["app_state"]
            try:
                services.admission.require_room()
            except UnavailableError as error:
                route = self._predicting_route(scope)
                if route is not None:
                    request = Request(scope)
                    scope["route"] = route
                    request.state.record.refused_at_once = True
                    request.state.record.key = services.authenticator.name_of(
                        presented_key(request)
                    )
                    response = await refusal(request, error)
                    await response(scope, receive, send)
                    return
        await self._app(scope, receive, send)

    def _predicting_route(self, scope: Scope) -> BaseRoute | None:
        """Find the route that would predict, if one would."""
        for route in self._predicting:
            if route.matches(scope)[0] is Match.FULL:
                return route
        return None
