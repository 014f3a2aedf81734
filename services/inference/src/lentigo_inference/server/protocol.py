"""HTTP/1.1 within limits of time, size and number; what is malformed gets a problem document.

uvicorn's protocol on httptools, Node's parser in C;
see docs/decisions/0013-shed-load-before-fastapi.md and 0025-limits-of-a-connection.md.
"""

import asyncio
from typing import Final, cast

import httptools
from uvicorn._types import HTTPScope

from lentigo_inference.errors import (
    HeadTooLongError,
    MalformedHttpError,
    ServiceBusyError,
    ServingError,
    TargetTooLongError,
)
from lentigo_inference.server.connections import Connections
from lentigo_inference.server.exchange import Exchange, HeadWithBody
from lentigo_inference.server.framing import Target, require_valid_head
from lentigo_inference.server.middleware import REFUSAL
from lentigo_inference.server.timeouts import TimedProtocol

# What is read ahead of the application: about one photograph. At uvicorn's own 64 KiB, most
# photographs made it pause and resume the socket.
_READ_AHEAD_BYTES: Final = 512 * 2**10

# Limit for the head of a request, and for anything else that is not body, such as trailers. The
# parser itself has no limit.
_MAX_FRAMING_BYTES: Final = 64 * 2**10

# Headers are looked through one by one, and often: 12,000 of three bytes cost 20 ms of the event
# loop. As many as Apache accepts.
_MAX_HEADERS: Final = 100

# What RFC 9110, section 4.1, asks of every server, and a little more.
_MAX_TARGET_BYTES: Final = 8192

# Stands for the method of what is not a request.
_NO_METHOD: Final = "-"


class _TooManyPipelinedError(Exception):
    """The client sends on without waiting for responses; never leaves this module."""


class LimitedProtocol(TimedProtocol):
    """Reads requests within limits, and answers what is malformed in its turn."""

    # True from the first byte of a head to its end, and from there to the end of its body.
    _in_head: bool = False
    _in_body: bool = False
    _framing: int = 0
    _head_size: int = 0
    # What arrived is refused, so the rest is discarded unread.
    _discarding: bool = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for a request; with too many connections, close one that is idle."""
        super().connection_made(transport)
        count = len(self.connections)
        if count > self.shared.limits.max_connections and not self.shared.make_room(count):
            self._discarding = True
            self._answer(
                ServiceBusyError("The service has as many connections as it may. Try again later."),
                None,
            )
            return
        self.shared.rest(self)
        self.expect_head()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived; an endless head, or endless trailers, are refused."""
        if self._discarding:
            return
        self._unset_keepalive_if_required()
        self._framing += len(data)
        left: bytes | None = data
        while left is not None and not self._discarding:
            left = self._parse(left)
        if self._framing > _MAX_FRAMING_BYTES and not self._discarding:
            self._refuse(_head_too_long())
        if self._head_due is None and not self.under_way():
            self.expect_head()

    def _parse(self, data: bytes) -> bytes | None:
        """Parse; return what to parse next, after an offer of another protocol."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            return self._without_upgrade(data[offer.args[0] :])
        except httptools.HttpParserCallbackError as failure:
            if isinstance(failure.__context__, _TooManyPipelinedError):
                # Those that wait are answered. The client sends the others again (RFC 9112, 9.3.2).
                self._discarding = True
                self.cycle.keep_alive = False
            elif isinstance(failure.__context__, ServingError):
                self._refuse(failure.__context__)
            else:
                raise
        except httptools.HttpParserError:
            self._refuse(MalformedHttpError("What arrived is not HTTP/1.1. Speak it, without TLS."))
        return None

    def _without_upgrade(self, rest: bytes) -> bytes | None:
        """Ignore the offer of another protocol, and read the request as HTTP/1.1.

        RFC 9110, section 7.8, lets a server ignore the offer. The parser cannot: it treats what
        follows as the other protocol, and would lose the body of every request that Java's own
        client sends.

        Args:
            rest: what arrived after the head.

        Returns:
            The head without the offer, and the rest.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse(MalformedHttpError("This is not a proxy."))
            return None
        fields = [(name, value) for name, value in self.headers if name != b"upgrade"]
        lines = b"".join(b"%s: %s\r\n" % field for field in fields)
        version = self.parser.get_http_version().encode("ascii")
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return b"%s %s HTTP/%s\r\n%s\r\n%s" % (method, self.url, version, lines, rest)

    def on_message_begin(self) -> None:
        """Start a request, unless too many wait already."""
        if len(self.pipeline) >= self.shared.limits.max_pipelined:
            raise _TooManyPipelinedError
        self._in_head, self._head_size = True, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Keep the target, or its next part."""
        self._count_head(len(url))
        if self._head_size > _MAX_TARGET_BYTES:
            raise TargetTooLongError(
                f"The path and query of the request have more than {_MAX_TARGET_BYTES:,} bytes. "
                "Send less."
            )
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers after a body are not used, and dropped."""
        if not self._in_body:
            self._count_head(len(name) + len(value))
            if len(self.headers) == _MAX_HEADERS:
                raise HeadTooLongError(
                    f"The request has more than {_MAX_HEADERS} headers. Send fewer."
                )
            super().on_header(name, value)

    def _count_head(self, size: int) -> None:
        """Limit a head that arrives in one piece; `data_received` limits one that never ends."""
        self._head_size += size
        if self._head_size > _MAX_FRAMING_BYTES:
            raise _head_too_long()

    def on_headers_complete(self) -> None:
        """Check the head, and start the response or put it in line."""
        self._framing = 0
        if self.parser.should_upgrade():
            return
        method, version = self.parser.get_method(), self.parser.get_http_version()
        self.scope["method"] = method.decode("ascii")
        self.scope["http_version"] = version
        require_valid_head(version, self.headers)
        target = Target.parse(self.url)
        self.scope["path"] = target.path
        self.scope["raw_path"] = target.raw_path
        self.scope["query_string"] = target.query
        self._in_head, self._in_body = False, True
        keep_alive = (
            version != "1.0" and self.parser.should_keep_alive() and not self.shared.draining()
        )
        self._begin(self.scope, keep_alive=keep_alive)
        if method != b"HEAD":
            # A body will follow, and the task that responds has not started yet.
            self.cycle.transport = cast(asyncio.Transport, HeadWithBody(self.transport))

    def _begin(self, scope: HTTPScope, *, keep_alive: bool) -> None:
        """Start to respond to a request, after those before it."""
        self.shared.wake(self)
        self.expect_no_head()
        waits = self.under_way()
        self.cycle = Exchange(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=keep_alive,
            on_response=self.on_response_complete,
        )
        if waits:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))
        else:
            self._start_asgi_task(self.cycle, self.app)

    def on_body(self, body: bytes) -> None:
        """Keep a piece of a body; once the response has begun, it is dropped unread."""
        self._framing = 0
        if self.cycle.response_started:
            return
        self.cycle.body += body
        if len(self.cycle.body) > _READ_AHEAD_BYTES:
            self.flow.pause_reading()
        self.cycle.message_event.set()

    def on_message_complete(self) -> None:
        """Expect the next head."""
        self._framing = 0
        if self.parser.should_upgrade():
            return
        self._in_body = False
        super().on_message_complete()
        if not self.under_way() and not self.transport.is_closing():
            # The rest of a body that was refused has arrived.
            self.keep_alive()

    def on_response_complete(self) -> None:
        """Start the next response, or start to wait for the next request."""
        super().on_response_complete()
        if self.under_way() or self.transport.is_closing():
            return
        self.shared.rest(self)
        if self._in_head:
            self.expect_head()

    def _refuse(self, error: ServingError) -> None:
        """Refuse what is not a request that we read, after the requests before it; then close."""
        self._discarding = True
        if not self._in_body:
            self._answer(error, self.scope if self._in_head else None)
        elif self.cycle.response_complete:
            self.transport.close()
        else:
            cast(Exchange, self.cycle).break_off(error)

    def _answer(self, error: ServingError, head: HTTPScope | None) -> None:
        """Let the application answer, so that the log and the metrics have it; then close.

        Args:
            error: why there is no request for a route.
            head: as far as it was read.
        """
        if head is None:
            super().on_message_begin()
            head = self.scope
        missing = {"method": _NO_METHOD, "path": "", "raw_path": b"", "query_string": b""}
        scope = {**missing, **head, "extensions": {REFUSAL: {"error": error}}}
        self.expect_100_continue = False
        self._begin(cast(HTTPScope, scope), keep_alive=False)
        self.cycle.more_body = False
        self.cycle.message_event.set()


def _head_too_long() -> HeadTooLongError:
    return HeadTooLongError(
        f"The head of the request, or its trailers, have more than {_MAX_FRAMING_BYTES:,} bytes. "
        "Send less."
    )


def limited_protocol(shared: Connections) -> type[asyncio.Protocol]:
    """Return the protocol class for the server whose connections share something."""
    return type("Protocol", (LimitedProtocol,), {"shared": shared})
