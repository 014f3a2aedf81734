"""How many connections there may be, how long each may take, and what is logged of it."""

import asyncio
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from lentigo_inference.settings import Settings

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

# For the files of a model that is loaded, the log, the key file, and connections that were accepted
# but not counted yet.
_RESERVED_DESCRIPTORS: Final = 128

ACCEPTED_AT_ONCE: Final = 32
"""Connections that asyncio accepts before it looks at anything else."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection may take, and how many there may be.

    Attributes:
        max_connections: open at the same time.
        head_timeout_s: seconds for the head of a request, from its first byte or the opening of the
            connection.
        keep_alive_s: seconds between two requests.
        download_timeout_s: seconds in which the client must take the next piece of a response.
        max_pipelined: requests that may wait on one connection while another is answered.
    """

    max_connections: int = 1024
    head_timeout_s: float = 30.0
    keep_alive_s: float = 75.0
    download_timeout_s: float = 30.0
    max_pipelined: int = 16


class Occasional:
    """Says whether something that may happen thousands of times a second is due in the log."""

    def __init__(self, every_s: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        """Be due at once, and then every so many seconds."""
        self._every_s = every_s
        self._clock = clock
        self._next = -float("inf")

    def due(self) -> bool:
        """Return whether it is, and start to wait for the next time."""
        now = self._clock()
        if now < self._next:
            return False
        self._next = now + self._every_s
        return True


class Droppable(Protocol):
    """A connection that can be closed, because it is idle or its client does not read."""

    def drop(self) -> None:
        """Close it."""


class Connections:
    """What the connections of one server share."""

    def __init__(
        self, limits: ConnectionLimits, draining: Callable[[], bool] = lambda: False
    ) -> None:
        """Start without connections.

        Args:
            limits: of each, and of their number.
            draining: whether each response ends its connection, so that clients go elsewhere.
        """
        self.limits = limits
        self.draining = draining
        # Those without a request under way, the one that is idle longest first.
        self._idle: dict[Droppable, None] = {}
        # Those that wait until their client takes more of a response, in the same order.
        self._unread: dict[Droppable, None] = {}
        self._crowded = Occasional()

    def rest(self, connection: Droppable) -> None:
        """Note that a connection is idle from now on."""
        self._idle[connection] = None

    def wake(self, connection: Droppable) -> None:
        """Note that a connection is idle no more."""
        self._idle.pop(connection, None)

    def wait_for_reader(self, connection: Droppable) -> None:
        """Note that the client of a connection does not take what was sent."""
        self._unread[connection] = None

    def go_on(self, connection: Droppable) -> None:
        """Note that it has taken everything."""
        self._unread.pop(connection, None)

    def make_room(self, count: int) -> bool:
        """Close the connection that has been idle longest, or else unread longest.

        Args:
            count: of the connections, for the log.

        Returns:
            Whether there was one.
        """
        if self._crowded.due():
            _log.warning("connections at their limit", connections=count)
        longest = next(iter(self._idle), None) or next(iter(self._unread), None)
        if longest is None:
            return False
        longest.drop()
        return True


def connection_limits(settings: Settings) -> ConnectionLimits:
    """Return the limits of the settings, within this process's limit of open files."""
    descriptors, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return ConnectionLimits(
        max_connections=connections_within(settings.max_connections, descriptors),
        head_timeout_s=settings.upload_timeout_s,
        keep_alive_s=settings.keep_alive_s,
        download_timeout_s=settings.download_timeout_s,
    )


def connections_within(wanted: int, descriptors: int) -> int:
    """Return how many connections leave enough file descriptors for everything else.

    Args:
        wanted: as many as this at most.
        descriptors: that the process may have; -1 is no limit.
    """
    if descriptors == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, descriptors - min(_RESERVED_DESCRIPTORS, descriptors // 2)))


class LoopErrorLog:
    """Logs what asyncio could hand to nobody: one line each, of bounded length.

    asyncio reports a connection that cannot be accepted once for each that waits, with a traceback.
    """

    def __init__(self, refused: Occasional | None = None) -> None:
        """Log connections that cannot be accepted when `refused` is due."""
        self._refused = refused or Occasional()

    def __call__(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Handle an error; for `loop.set_exception_handler`."""
        error = context.get("exception")
        # Only the accepting of connections gives the socket.
        if isinstance(error, OSError) and "socket" in context:
            if self._refused.due():
                _log.error("connections cannot be accepted", reason=str(error))
            return
        _log.error("unforeseen error", reason=str(context.get("message")), exc_info=error)
