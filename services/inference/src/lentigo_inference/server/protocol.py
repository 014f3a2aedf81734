"""HTTP/1.1 with a header timeout and size limits; malformed requests get 400.

uvicorn's protocol on httptools, Node's parser in C;
see docs/decisions/0013-shed-load-before-fastapi.md.
"""

import asyncio
from typing import Final, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

# What is read ahead of the application: about one photograph. At uvicorn's own 64 KiB, most
# photographs made it pause and resume the socket.
_READ_AHEAD_BYTES: Final = 512 * 2**10

# Limit for the head of a request, and for anything else that is not body, such as trailers. The
# parser itself has no limit.
_MAX_FRAMING_BYTES: Final = 64 * 2**10

# RFC 9110, section 15.2: an interim response.
_CONTINUE: Final = b"HTTP/1.1 100 "


class TimeoutProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with a timeout and a size limit for the head of a request.

    Without the timeout, a client that opens connections and sends nothing, or a header byte by
    byte, would hold them for ever, until no other client gets one. Bodies have limits of their own,
    in `api.uploads`.
    """

    header_timeout_s: float
    _timer: asyncio.TimerHandle | None = None
    _idle_since: float = 0.0
    # True from the end of a head to the end of its body.
    _in_body: bool = False
    _framing: int = 0
    # What arrived is not HTTP, so the rest is discarded unread.
    _discarding: bool = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for a request."""
        super().connection_made(transport)
        self._idle_since = self.loop.time()
        self._schedule_check(self.header_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived; an endless head, or endless trailers, are refused."""
        if self._discarding:
            return
        self._unset_keepalive_if_required()
        self._framing += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            (read,) = offer.args
            self._decline(data[read:])
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        if self._framing > _MAX_FRAMING_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def _decline(self, rest: bytes) -> None:
        """Ignore the offer of another protocol, and read the request as HTTP/1.1.

        RFC 9110, section 7.8, lets a server ignore the offer. The parser cannot: it treats what
        follows as the other protocol, and would lose the body of every request that Java's own
        client sends.

        Args:
            rest: what arrived after the head.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.send_400_response("This is not a proxy.")
            return
        fields = [(name, value) for name, value in self.headers if name != b"upgrade"]
        lines = b"".join(b"%s: %s\r\n" % field for field in fields)
        version = self.parser.get_http_version().encode("ascii")
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"%s %s HTTP/%s\r\n%s\r\n%s" % (method, self.url, version, lines, rest))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers after a body are not used, and dropped."""
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the response."""
        self._framing = 0
        if self.parser.should_upgrade():
            return
        self._in_body = True
        super().on_headers_complete()
        if self.parser.get_method() != b"HEAD":
            # A body will follow, and the task that responds has not started yet.
            self.cycle.transport = cast(asyncio.Transport, _HeadWithBody(self.transport))

    def on_body(self, body: bytes) -> None:
        """Keep a piece of a body; after a refusal, it is dropped unread."""
        self._framing = 0
        if self.cycle.response_complete:
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

    def on_response_complete(self) -> None:
        """Start to wait for the next request."""
        self._idle_since = self.loop.time()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, and end the connection.

        A complete request before it is answered first. If the malformed part is in a body, the
        application is told that the client left; otherwise it would try to answer on the same
        connection.
        """
        self._discarding = True
        if not self._under_way():
            already_answered = self._in_body
        elif self._in_body:
            already_answered = self.cycle.response_started
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        else:
            self.cycle.keep_alive = False
            return
        if already_answered:
            self.transport.close()
        else:
            super().send_400_response(msg)

    def _under_way(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _schedule_check(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self._check_idle)

    def _check_idle(self) -> None:
        if self._under_way():
            self._schedule_check(self.header_timeout_s)
            return
        left = self._idle_since + self.header_timeout_s - self.loop.time()
        if left > 0:
            self._schedule_check(left)
        elif not self.transport.is_closing():
            self.transport.close()


class _HeadWithBody:
    """A transport for one response, which sends the head together with the start of the body.

    This saves a system call and a packet, and the client does not wake up for the head alone.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self._begun = False

    def write(self, data: bytes) -> None:
        """Keep the first write, which is the head, and send it with the next."""
        if self._begun or data.startswith(_CONTINUE):
            self._transport.write(self._head + data)
            self._head = b""
        else:
            self._head, self._begun = data, True

    def close(self) -> None:
        """Send a kept head, and close."""
        if self._head:
            self._transport.write(self._head)
            self._head = b""
        self._transport.close()

    def is_closing(self) -> bool:
        """Return whether the connection is being closed."""
        return self._transport.is_closing()


def timeout_protocol(header_timeout_s: float) -> type[asyncio.Protocol]:
    """Return the protocol class for a server.

    Args:
        header_timeout_s: seconds in which the head of a request must be complete, counted from the
            opening of the connection or the end of the last response. After that the connection is
            closed without a response.
    """
    return type("Protocol", (TimeoutProtocol,), {"header_timeout_s": header_timeout_s})
