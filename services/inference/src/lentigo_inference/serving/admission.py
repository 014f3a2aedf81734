"""Admission: how many predictions are accepted, and that none is once the service is stopping."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lentigo_inference.errors import ServiceBusyError, ShutdownError


class Shutdown:
    """Whether the service is being stopped, and how many accepted requests are unfinished.

    Requests are counted on the event loop only. `begin` may be called from a signal handler,
    because it only sets a flag.
    """

    def __init__(self, retry_after_s: float = 1.0) -> None:
        """Start in the running state; `retry_after_s` goes to refused clients, in seconds."""
        self._retry_after_s = retry_after_s
        self._begun = False
        self._under_way = 0

    @property
    def begun(self) -> bool:
        """Whether new work is refused."""
        return self._begun

    @property
    def under_way(self) -> int:
        """Requests that were accepted and are not answered yet."""
        return self._under_way

    def begin(self) -> None:
        """Refuse new work from now on."""
        self._begun = True

    def require_running(self) -> None:
        """Check that new work may begin.

        Raises:
            ShutdownError: the service is being stopped.
        """
        if self._begun:
            raise ShutdownError(
                "The service is being stopped and takes no new work. Try again; another instance, "
                "or the next, will answer.",
                self._retry_after_s,
            )

    @contextmanager
    def accepted(self) -> Iterator[None]:
        """Count one request as accepted while the context lasts; raises as `require_running`."""
        self.require_running()
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1


class Admission:
    """Limits the number of predictions under way.

    Each may hold an upload of the largest size in memory, so this bounds memory. Under overload, a
    client gets an answer at once instead of waiting in an endless queue. Used on the event loop
    only.
    """

    def __init__(
        self,
        limit: int,
        shutdown: Shutdown | None = None,
        seconds_for: Callable[[int], float] = lambda _predictions: 1.0,
    ) -> None:
        """Accept at most `limit` predictions at the same time.

        Args:
            limit: in predictions; one that needs more memory counts as several.
            shutdown: refuses everything once the service is stopping.
            seconds_for: estimates how long so many predictions take, for Retry-After.
        """
        self._limit = limit
        self._shutdown = shutdown or Shutdown()
        self._seconds_for = seconds_for
        self._under_way = 0

    @property
    def limit(self) -> int:
        """Predictions that may be under way."""
        return self._limit

    @property
    def under_way(self) -> int:
        """Predictions that were accepted and are not answered yet, by weight."""
        return self._under_way

    @contextmanager
    def enter(self, weight: int = 1) -> Iterator[None]:
        """Count a prediction as under way while the context lasts.

        Args:
            weight: how many predictions it counts as, by memory; with more than the limit, it is
                accepted when nothing else is under way.

        Raises:
            ServiceBusyError: as many as allowed are under way.
            ShutdownError: the service is being stopped.
        """
        weight = min(weight, self._limit)
        with self._shutdown.accepted():
            self.require_room(weight)
            self._under_way += weight
            try:
                yield
            finally:
                self._under_way -= weight

    def require_room(self, weight: int = 1) -> None:
        """Check that a prediction would be accepted now.

        Raises:
            ServiceBusyError: as many as allowed are under way.
            ShutdownError: the service is being stopped.
        """
        self._shutdown.require_running()
        if self._under_way + weight > self._limit:
            raise ServiceBusyError(
                f"{self._under_way} predictions are under way, and the service takes no more than "
                f"{self._limit} at a time. Try again after the given delay.",
                self._seconds_for(self._under_way),
            )
