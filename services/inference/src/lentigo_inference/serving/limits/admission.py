"""Admission: how many predictions are accepted, and that none is once the service is stopping."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lentigo_contract.wording import pluralize
from lentigo_inference.errors import RateLimitedError, ServiceBusyError, ShutdownError
from lentigo_inference.serving.limits.shares import Shares


class Shutdown:
    """Whether the service is being stopped, and how many accepted requests are unfinished.

    Requests are counted on the event loop only. `drain` and `begin` may be called from a signal
    handler, because they only set a flag.
    """

    def __init__(self, retry_after_s: float = 1.0) -> None:
        """Start in the running state; `retry_after_s` goes to refused clients, in seconds."""
        self._retry_after_s = retry_after_s
        self._draining = False
        self._begun = False
        self._under_way = 0

    @property
    def ready(self) -> bool:
        """Whether new work is wanted; while the service drains it is not, but still accepted."""
        return not (self._draining or self._begun)

    @property
    def begun(self) -> bool:
        """Whether new work is refused."""
        return self._begun

    @property
    def under_way(self) -> int:
        """Requests that were accepted and are not answered yet."""
        return self._under_way

    def drain(self) -> None:
        """Say from now on that the service is not ready; new work is accepted until `begin`."""
        self._draining = True

    def begin(self) -> None:
        """Refuse new work from now on."""
        self._begun = True

    def require_running(self) -> None:
        """Check that new work may begin.

        Raises:
            ShutdownError: the service is being stopped.
        """
        if self._begun:
            raise self._error()

    def require_ready(self) -> None:
        """Check that clients should send new work here.

        Raises:
            ShutdownError: the service is being stopped, or will be in a moment.
        """
        if not self.ready:
            raise self._error()

    def _error(self) -> ShutdownError:
        return ShutdownError(
            "The service is being stopped and takes no new work. Try again; another instance, or "
            "the next, will answer.",
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
        self._shares = Shares(limit)
        self._shutdown = shutdown or Shutdown()
        self._seconds_for = seconds_for

    @property
    def crowded(self) -> bool:
        """Whether the service may be full; while this is false, only a key's own limit refuses."""
        return self._shutdown.begun or 2 * self.under_way >= self.limit

    @property
    def limit(self) -> int:
        """Predictions that may be under way."""
        return self._shares.total

    @property
    def under_way(self) -> int:
        """Predictions that were accepted and are not answered yet, by weight."""
        return self._shares.held

    @contextmanager
    def enter(
        self, weight: int = 1, key: str | None = None, key_limit: int | None = None
    ) -> Iterator[None]:
        """Count a prediction as under way while the context lasts.

        Args:
            weight: how many predictions it counts as, by memory; with more than the limit, it is
                accepted when nothing else is under way.
            key: name of the key of the request; without one there is no share.
            key_limit: how many the key may have under way; one that counts as more is accepted
                when it has none.

        Raises:
            ServiceBusyError: as many as allowed are under way.
            RateLimitedError: the key has its share, or as many as it may, under way.
            ShutdownError: the service is being stopped.
        """
        weight = min(weight, self.limit)
        with self._shutdown.accepted():
            self.require_room(weight, key, key_limit)
            self._shares.add(weight, key)
            try:
                yield
            finally:
                self._shares.add(-weight, key)

    def require_room(
        self, weight: int = 1, key: str | None = None, key_limit: int | None = None
    ) -> None:
        """Check that a prediction would be accepted now.

        Raises:
            ServiceBusyError: as many as allowed are under way.
            RateLimitedError: the key has its share, or as many as it may, under way.
            ShutdownError: the service is being stopped.
        """
        self._shutdown.require_running()
        if not self._shares.has_room(weight):
            raise ServiceBusyError(
                f"{pluralize(self.under_way, 'prediction is', 'predictions are')} under way, and "
                f"the service takes no more than {self.limit} at a time. Try again after the "
                "given delay.",
                self._seconds_for(self.under_way),
            )
        held = self._shares.held_by(key)
        if key_limit is not None and held and held + weight > key_limit:
            raise RateLimitedError(
                f"{held} predictions with this key are under way, and it may have no more than "
                f"{key_limit} at a time. Try again after the given delay.",
                self._seconds_for(held),
            )
        if not self._shares.leaves_enough(weight, key):
            raise RateLimitedError(
                f"With this key {pluralize(held, 'prediction is', 'predictions are')} under way, "
                "and the rest is for other keys. Try again after the given delay.",
                self._seconds_for(held),
            )
