"""Servers that are away or busy, and until when they are left alone."""

import threading
from collections.abc import Callable, Mapping
from typing import Final

from lentigo_gateway.errors import Server
from lentigo_gateway.observability.logging import Log
from lentigo_gateway.worklist.schedule import Backoff

_EVENTS: Final[Mapping[Server, tuple[str, str]]] = {
    "service": ("inference service unavailable", "inference service available again"),
    "archive": ("archive unavailable", "archive available again"),
    "results": ("results not taken", "results taken again"),
    "fhir": ("FHIR server unavailable", "FHIR server available again"),
    "feedback": ("feedback not accepted", "feedback accepted again"),
}


class Holds:
    """Which servers are left alone; for several threads. The log has a line when that changes."""

    def __init__(self, backoff: Backoff, clock: Callable[[], float], log: Log) -> None:
        """Hold off by this backoff; `clock` is seconds."""
        self._backoff = backoff
        self._clock = clock
        self._log = log
        self._guard = threading.Lock()
        self._failures: dict[Server, int] = {}
        self._until: dict[Server, float] = {}

    def hold(self, server: Server, reason: str, requested_s: float | None = None) -> float:
        """Leave a server alone for a while; return the seconds.

        Args:
            server: which one.
            reason: why, for the log.
            requested_s: what it asked for itself.
        """
        with self._guard:
            now = self._clock()
            left = self._until.get(server, now) - now
            if left > 0 and requested_s is None:
                # Others that failed at the same time make it no worse.
                return left
            first = server not in self._failures
            self._failures[server] = self._failures.get(server, 0) + 1
            delay = self._backoff.delay_s(self._failures[server], requested_s)
            self._until[server] = max(now + delay, self._until.get(server, now))
        if first:
            self._log.warning(_EVENTS[server][0], reason=reason)
        return delay

    def held(self, server: Server) -> bool:
        """Return whether a server is to be left alone."""
        with self._guard:
            return self._clock() < self._until.get(server, -float("inf"))

    def clear(self, server: Server) -> None:
        """Note that a server answered."""
        with self._guard:
            known = self._failures.pop(server, None) is not None
            self._until.pop(server, None)
        if known:
            self._log.info(_EVENTS[server][1])
