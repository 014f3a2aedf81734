"""How much work is let in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lentigo_contract.errors import ServiceBusyError
from lentigo_inference.stopping import Stopping


class Admission:
    """Counts the predictions under way and refuses more than a fixed number.

    Each may hold an upload of the largest size in memory, so this bounds memory, and it turns
    overload into an answer at once instead of a queue without end. Used on the event loop alone.
    """

    def __init__(
        self,
        limit: int,
        stopping: Stopping | None = None,
        seconds_for: Callable[[int], float] = lambda _predictions: 1.0,
    ) -> None:
        """Let in at most `limit` at the same time.

        Args:
            limit: predictions, or as much memory as that many take.
            stopping: refuses everything once the service is being stopped.
            seconds_for: estimates how long so many predictions take, for Retry-After.
        """
        self._limit = limit
        self._stopping = stopping or Stopping()
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
            StoppingError: the service is being stopped.
        """
        weight = min(weight, self._limit)
        with self._stopping.accepted():
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
            StoppingError: the service is being stopped.
        """
        self._stopping.require_running()
        if self._under_way + weight > self._limit:
            raise ServiceBusyError(
                f"{self._under_way} predictions are under way, and the service takes no more than "
                f"{self._limit} at a time. Try again after the given delay.",
                self._seconds_for(self._under_way),
            )
