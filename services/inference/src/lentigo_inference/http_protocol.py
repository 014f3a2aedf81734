"""HTTP/1.1 that waits only so long for a request, and bears what is no HTTP."""

import asyncio
from contextlib import suppress

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle


class ImpatientProtocol(H11Protocol):
    """uvicorn's protocol, with a limit on waiting.

    Without one, whoever opens connections and sends nothing, or a header byte by byte, would hold
    them for ever, until no client gets one. Bodies have a limit of their own, in `uploads`.
    """

    patience_s: float
    _watch: asyncio.TimerHandle | None = None
    _idle_since: float = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._idle_since = self.loop.time()
        self._watch_for(self.patience_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        self._idle_since = self.loop.time()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; a request whose body it was hears that its client left.

        Left to itself, the application would try to answer on the same connection, and fail.
        """
        if self._under_way():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        # Amid an answer there is no room for another.
        with suppress(h11.LocalProtocolError):
            super().send_400_response(msg)
        self.transport.close()

    def _under_way(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _watch_for(self, seconds: float) -> None:
        self._watch = self.loop.call_later(seconds, self._look)

    def _look(self) -> None:
        if self._under_way():
            self._watch_for(self.patience_s)
            return
        left = self._idle_since + self.patience_s - self.loop.time()
        if left > 0:
            self._watch_for(left)
        elif not self.transport.is_closing():
            self.transport.close()


def impatient_protocol(patience_s: float) -> type[asyncio.Protocol]:
    """Give the protocol for a server.

    Args:
        patience_s: seconds in which the head of a request must be complete, from the opening of the
            connection or the end of the answer before; then the connection closes without a word.
    """
    return type("Protocol", (ImpatientProtocol,), {"patience_s": patience_s})
