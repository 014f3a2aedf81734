"""A token bucket for every key (Turner 1986; RFC 2697 has the algorithm)."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from lentigo_inference.errors import RateLimitedError

# Without keys there is a bucket for every address, and there are many addresses.
_MAX_BUCKETS: Final = 10_000


class RateLimit:
    """Lets each caller make so many requests a minute, all at once if it likes.

    Used on the event loop alone.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Set the limit; 0 is none. `clock` gives seconds and never goes back."""
        self._per_minute = per_minute
        self._clock = clock
        # Caller to tokens left and when that was so; the one seen last stands last.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> None:
        """Count one request.

        Raises:
            RateLimitedError: there were too many; says when the next may come.
        """
        if not self._per_minute:
            return
        now = self._clock()
        left, before = self._buckets.pop(caller, (float(self._per_minute), now))
        left = min(self._per_minute, left + (now - before) * self._per_minute / 60)
        allowed = left >= 1
        self._buckets[caller] = (left - 1 if allowed else left, now)
        if len(self._buckets) > _MAX_BUCKETS:
            self._buckets.popitem(last=False)
        if not allowed:
            raise RateLimitedError(
                f"More than {self._per_minute} requests a minute. Try again after the given delay.",
                (1 - left) * 60 / self._per_minute,
            )
