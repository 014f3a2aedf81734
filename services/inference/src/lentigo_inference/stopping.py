"""Whether the service is being stopped, and how much accepted work is left."""

from collections.abc import Iterator
from contextlib import contextmanager

from lentigo_contract.errors import StoppingError


class Stopping:
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
            StoppingError: it has.
        """
        if self._begun:
            raise StoppingError(
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
