"""A connection that is closed when its client takes too long: to send a head, or to read."""

import asyncio
from typing import ClassVar, Final, cast

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lentigo_inference.server.connections import Connections
from lentigo_inference.server.exchange import Exchange

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

# Seconds in which a client must take the rest of a response when the service ends.
_LAST_DOWNLOAD_S: Final = 5.0


class TimedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with the timeouts of `ConnectionLimits`.

    Without them, clients that open connections and send nothing, send a header byte by byte, or
    never read, would hold them for ever, until no other client gets one. Bodies have limits of
    their own, in `api.requests.uploads`.
    """

    shared: ClassVar[Connections]

    # The head of a request must be complete by then; None while none is expected.
    _head_due: float | None = None
    _head_timer: asyncio.TimerHandle | None = None
    # Runs while the client does not take what was sent.
    _unread_timer: asyncio.TimerHandle | None = None
    # By then the rest must be taken, once the service ends.
    _ends_by: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for a request."""
        super().connection_made(transport)
        # `pause_writing` and `resume_writing` then tell of every byte that a client does not take.
        transport.set_write_buffer_limits(high=0)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._forget()
        for timer in (self._head_timer, self._unread_timer):
            if timer is not None:
                timer.cancel()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def drop(self) -> None:
        """Close the connection, although the client may not have read everything."""
        self._forget()
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def _forget(self) -> None:
        self.shared.wake(self)
        self.shared.go_on(self)

    def under_way(self) -> bool:
        """Return whether a request is not answered yet."""
        newest: Exchange | None = cast("Exchange | None", self.cycle)
        return newest is not None and not newest.response_complete

    def expect_head(self) -> None:
        """Close the connection unless the head of a request is complete in time."""
        self._unset_keepalive_if_required()
        self._head_due = self.loop.time() + self.shared.limits.head_timeout_s
        if self._head_timer is None:
            wait = self.shared.limits.head_timeout_s
            self._head_timer = self.loop.call_later(wait, self._check_head)

    def expect_no_head(self) -> None:
        """Wait without a limit, because a request is under way."""
        self._head_due = None

    def keep_alive(self) -> None:
        """Wait for the next request, as uvicorn does after a response."""
        self._head_due = None
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.shared.limits.keep_alive_s, self.timeout_keep_alive_handler
        )

    def _check_head(self) -> None:
        self._head_timer = None
        if self._head_due is None:
            return
        left = self._head_due - self.loop.time()
        if left > 0:
            self._head_timer = self.loop.call_later(left, self._check_head)
        elif not self.transport.is_closing():
            self.drop()

    def pause_writing(self) -> None:
        """The client does not take what was sent: give it some time."""
        super().pause_writing()
        self.shared.wait_for_reader(self)
        self._wait_for_reader()

    def resume_writing(self) -> None:
        """The client has taken everything."""
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None
        self.shared.go_on(self)
        super().resume_writing()

    def shutdown(self) -> None:
        """End the connection after the response under way, and wait for its client for seconds."""
        self._ends_by = self.loop.time() + _LAST_DOWNLOAD_S
        super().shutdown()
        if self._unread_timer is not None:
            self._wait_for_reader()

    def _wait_for_reader(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
        seconds = self.shared.limits.download_timeout_s
        if self._ends_by is not None:
            seconds = min(seconds, self._ends_by - self.loop.time())
        self._unread_timer = self.loop.call_later(seconds, self._stop_sending)

    def _stop_sending(self) -> None:
        _log.info("response not taken", client=self.client[0] if self.client else None)
        self.transport.abort()
