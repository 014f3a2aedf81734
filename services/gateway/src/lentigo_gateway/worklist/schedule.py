"""When an attempt is made again: exponential backoff with jitter."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays between attempts.

    Attributes:
        first_s: seconds after the first failure; each further delay is twice as long.
        longest_s: the longest delay.
        jitter: returns a random number from 0 to 1. A delay is shortened by up to half of it, so
            that what failed together is not tried again together.
    """

    first_s: float
    longest_s: float
    jitter: Callable[[], float]

    def delay_s(self, failures: int, requested_s: float | None = None) -> float:
        """Return the seconds to wait after some failures in a row, 1 or more.

        What the other side requested is the least, up to ten times the longest delay: nobody can
        put an instance off for ever.
        """
        doublings = min(failures - 1, 32)
        delay = min(self.first_s * 2.0**doublings, self.longest_s) * (1 - 0.5 * self.jitter())
        return max(delay, min(requested_s or 0.0, 10 * self.longest_s))
