"""How much work is let in."""

from collections.abc import Iterator
from contextlib import contextmanager

from lentigo_contract.errors import ServiceBusyError


class Admission:
    """Counts the predictions under way and refuses more than a fixed number.

    Each may hold an upload of the largest size in memory, so this bounds memory, and it turns
    overload into an answer at once instead of a queue without end. Used on the event loop alone.
    """

    def __init__(self, limit: int) -> None:
        """Let in at most `limit` at the same time."""
        self._limit = limit
        self._under_way = 0

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Be counted for as long as the context lasts.

        Raises:
            ServiceBusyError: as many as allowed are under way.
        """
        if self._under_way >= self._limit:
            raise ServiceBusyError(
                f"{self._limit} predictions are under way, and the service takes no more at a "
                "time. Try again after the given delay."
            )
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
