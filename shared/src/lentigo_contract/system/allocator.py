"""The C library's memory: what is freed goes back to the system, on Linux with glibc.

glibc keeps freed memory in an arena for each thread, in case that the thread needs it again. Where
images and models of many megabytes come and go in a dozen threads, that is several times as much as
is ever in use.
"""

import ctypes
import sys
from contextlib import suppress
from typing import Final

# Of malloc.h; see man 3 mallopt.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

# More than the pixels of a usual photograph on its way to the network (0.8 MB), which come and go
# a hundred times a second and are best reused.
_LARGE_BYTES: Final = 2**20


def return_large_blocks() -> None:
    """Have every block of a megabyte or more go back to the system as soon as it is freed.

    Otherwise glibc takes the first large block that is freed as a sign that more will follow, and
    keeps all of up to 32 MiB. To be called before there are other threads. Does nothing where the C
    library has no `mallopt`.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            library = ctypes.CDLL(None)
            library.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
            # Setting one of the two ends the adjustment of both.
            library.mallopt(_M_TRIM_THRESHOLD, 2 * _LARGE_BYTES)


def return_free_memory() -> None:
    """Return free memory that the C library keeps to the system; takes a few milliseconds.

    Models are loaded in several threads, so over many reloads their arenas would keep the memory of
    one model too many. Does nothing where the C library has no `malloc_trim` (man 3 malloc_trim).
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
