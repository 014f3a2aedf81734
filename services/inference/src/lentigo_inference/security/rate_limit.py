"""A rate limit: one token bucket for each caller (Turner 1986; RFC 2697 has the algorithm)."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from lentigo_contract.wording import pluralize
from lentigo_inference.errors import RateLimitedError

# Without keys every address has a bucket, and there are many addresses.
_MAX_BUCKETS: Final = 10_000


class RateLimit:
    """Allows each caller so many requests a minute, also in one burst.

    Used on the event loop only.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Set the limit; 0 is no limit. `clock` returns seconds and never goes back."""
        self._per_minute = per_minute
        self._clock = clock
        # Caller to (tokens, time of the last request), the most recent caller last.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, per_minute: int | None = None) -> None:
        """Count one request.

        Args:
            caller: whose bucket.
            per_minute: a limit of the caller's own; 0 is none.

        Raises:
            RateLimitedError: there were too many; has the time until the next one.
        """
        per_minute = self._per_minute if per_minute is None else per_minute
        if not per_minute:
            return
        now = self._clock()
        tokens, updated_at = self._buckets.pop(caller, (float(per_minute), now))
        tokens = min(per_minute, tokens + (now - updated_at) * per_minute / 60)
        allowed = tokens >= 1
        self._buckets[caller] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > _MAX_BUCKETS:
            self._buckets.popitem(last=False)
        if not allowed:
            raise RateLimitedError(
                f"More than {pluralize(per_minute, 'request')} a minute. Try again after the "
                "given delay.",
                (1 - tokens) * 60 / per_minute,
            )
