"""What happens around every request: its id, its line in the log, metrics, a span.

An error that no handler expected becomes a problem document here.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lentigo_inference.api.problems import unexpected_problem
from lentigo_inference.observability.identifiers import uuid7
from lentigo_inference.observability.metrics import Metrics, known_method
from lentigo_inference.observability.records import RequestRecord
from lentigo_inference.observability.tracing import RequestSpan, Tracing, parent_of, trace_id_of
from lentigo_inference.problem_types import INTERNAL
from lentigo_inference.security.client_address import Network, client_address

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

RawHeaders = list[tuple[bytes, bytes]]
"""Names in lower case, and values, as ASGI has them."""

HEADER: Final = "X-Request-ID"
_FORWARDED_FOR: Final = "X-Forwarded-For"

# Stands for the key of a refused request that came without a known one.
_NO_KEY: Final = "none"

# Stands for all paths that match no route.
UNMATCHED: Final = "unmatched"

# Long enough for any scheme in use, and harmless in a header, a URN and a log line.
_ACCEPTED_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)

# Encoded once, because every refusal under overload has them too.
_FIXED_HEADERS: Final = {
    # A diagnosis belongs in no cache, and no browser may guess the type.
    b"cache-control": b"no-store",
    b"x-content-type-options": b"nosniff",
    # In case a browser renders an answer; the page has a policy of its own.
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
}
_HEADER_NAME: Final = HEADER.lower().encode("ascii")


class RequestLogMiddleware:
    """The outermost ASGI middleware of ours.

    The line has method, route, status and times. Of the image it has the digest only. It has no
    file name, no query and no path that matched no route, because any of them may name a patient.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        tracing: Tracing | None,
        trusted_proxies: Sequence[Network] = (),
    ) -> None:
        """Wrap an application.

        Args:
            app: the application.
            metrics: count every request.
            tracing: makes spans, if any.
            trusted_proxies: whose X-Forwarded-For counts.
        """
        self._app = app
        self._metrics = metrics
        self._tracing = tracing
        self._trusted_proxies = trusted_proxies
        self._refusals = RefusalLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; other kinds of traffic pass through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        self._set_client(scope, headers)
        request_id = _request_id(headers)
        record = RequestRecord()
        scope.setdefault("state", {}).update(request_id=request_id, record=record)
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": _with_fixed(message["headers"], request_id)}
            await send(message)

        parent, method = parent_of(headers), known_method(scope["method"])
        span = self._tracing.begin(method, scope["path"], parent) if self._tracing else None
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
                seconds = time.perf_counter() - started
                self._finish(scope, record, span, method=method, status=status, seconds=seconds)

    def _set_client(self, scope: Scope, headers: Headers) -> None:
        """Put the address behind trusted proxies in the place of theirs."""
        if self._trusted_proxies and scope.get("client"):
            peer, port = scope["client"]
            forwarded = ",".join(headers.getlist(_FORWARDED_FOR))
            address = client_address(peer, forwarded, self._trusted_proxies)
            scope["client"] = (address, port if address == peer else 0)

    def _finish(
        self,
        scope: Scope,
        record: RequestRecord,
        span: RequestSpan | None,
        *,
        method: str,
        status: int,
        seconds: float,
    ) -> None:
        """Log and count a finished request, and end its span."""
        route = _route(scope)
        if record.shed:
            self._refusals.count(record)
        else:
            _log.info(
                "request",
                method=scope["method"],
                route=route or UNMATCHED,
                status=status,
                milliseconds=round(seconds * 1000, 1),
                client=scope["client"][0] if scope.get("client") else None,
                **record.log_fields(),
            )
        self._metrics.answered(method, route or UNMATCHED, status, seconds, record)
        if self._tracing and span:
            name = f"{method} {route}" if route else method
            self._tracing.end(span, name, status, record)


class RefusalLog:
    """Counts requests refused for overload; one line a second instead of one for each.

    A line costs as much as the refusal itself, and a reader of the log wants to know how many there
    were, why and whose. Used on the event loop only.
    """

    def __init__(self, interval_s: float = 1.0) -> None:
        """Start at zero; `interval_s` is how many seconds are counted together."""
        self._interval_s = interval_s
        self._counts: Counter[tuple[str, str]] = Counter()

    def count(self, record: RequestRecord) -> None:
        """Count one refusal, by its problem and its key."""
        if not self._counts:
            asyncio.get_running_loop().call_later(self._interval_s, self._write)
        self._counts[record.problem or "", record.key or _NO_KEY] += 1

    def _write(self) -> None:
        for (problem, key), requests in sorted(self._counts.items()):
            _log.warning("requests refused", problem=problem, key=key, requests=requests)
        self._counts.clear()


def _with_fixed(headers: Iterable[tuple[bytes, bytes]], request_id: str) -> RawHeaders:
    """Return the headers of a response with those that every response has."""
    own = list(headers)
    names = {name.lower() for name, _value in own}
    fixed = [each for each in _FIXED_HEADERS.items() if each[0] not in names]
    return [*own, *fixed, (_HEADER_NAME, request_id.encode("ascii"))]


def _request_id(headers: Headers) -> str:
    sent = headers.get(HEADER, "")
    return sent if _ACCEPTED_ID.fullmatch(sent) else str(uuid7())


def _route(scope: Scope) -> str | None:
    """Return the template of the route, such as `/v2/models/{model}`."""
    route: Any = scope.get("route")
    return getattr(route, "path", None)
