"""How much work is let in.

Whether the service is being stopped, and how much accepted work is left.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lentigo_inference.errors import ServiceBusyError, ShutdownError


class Shutdown:
    """Set once, by a signal; asked by whatever would begin new work.

    Counting happens on the event loop alone. `begin` may be called from a signal handler: it does
    no more than set a flag.
    """

    def __init__(self, retry_after_s: float = 1.0) -> None:
        """Start running; `retry_after_s` is what clients are told once it stops."""
        self._retry_after_s = retry_after_s
        self._begun = False
        self._under_way = 0

    @property
    def begun(self) -> bool:
        """Whether no new work is taken any more."""
        return self._begun

    @property
    def under_way(self) -> int:
        """Requests that were accepted and are not answered yet."""
        return self._under_way

    def begin(self) -> None:
        """Take no new work from here on."""
        self._begun = True

    def require_running(self) -> None:
        """Refuse new work once stopping has begun.

        Raises:
            ShutdownError: it has.
        """
        if self._begun:
            raise ShutdownError(
                "The service is being stopped and takes no new work. Try again; another instance, "
                "or the next, will answer.",
                self._retry_after_s,
            )

    @contextmanager
    def accepted(self) -> Iterator[None]:
        """Count one request as accepted for as long as the context lasts; raises as above."""
        self.require_running()
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1


class Admission:
    """Counts the predictions under way and refuses more than a fixed number.

    Each may hold an upload of the largest size in memory, so this bounds memory, and it turns
    overload into an answer at once instead of a queue without end. Used on the event loop alone.
    """

    def __init__(
        self,
        limit: int,
        shutdown: Shutdown | None = None,
        seconds_for: Callable[[int], float] = lambda _predictions: 1.0,
    ) -> None:
        """Let in at most `limit` at the same time.

        Args:
            limit: predictions, or as much memory as that many take.
            shutdown: refuses everything once the service is being stopped.
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
        """Predictions that were let in and are not answered yet, by weight."""
        return self._under_way

    @contextmanager
    def enter(self, weight: int = 1) -> Iterator[None]:
        """Be counted for as long as the context lasts.

        Args:
            weight: predictions that this one takes the memory of; if that is more than the limit,
                it is let in when nothing else is under way.

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
        """Refuse what would not be let in now.

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
