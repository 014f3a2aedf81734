"""Memory that was freed, given back to the system."""

import ctypes
import sys
from contextlib import suppress


def return_free_memory() -> None:
    """Have the C library let go of what it keeps for later; takes a few milliseconds.

    glibc keeps freed memory in an arena for each thread. Models come and go in large pieces and in
    several threads, so over many reloads it would keep one model's worth too much. Does nothing
    where the C library has no `malloc_trim` (man 3 malloc_trim).
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
