"""Time-ordered identifiers for requests and answers."""

import random
import time
import uuid
from functools import cache
from typing import Final

_VERSION: Final = 7
_VARIANT: Final = 0b10


def uuid7(milliseconds: int | None = None) -> uuid.UUID:
    """Make a UUID version 7: 48 bits of Unix time, then 74 random bits (RFC 9562, section 5.7).

    Answers sort by time, and the identifier reveals nothing else.

    Args:
        milliseconds: Unix time; by default now.
    """
    if milliseconds is None:
        milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (2**48 - 1)) << 80
    value |= _VERSION << 76
    drawn = _source().getrandbits(12 + 62)
    value |= (drawn >> 62) << 64
    value |= _VARIANT << 62
    value |= drawn & (2**62 - 1)
    return uuid.UUID(int=value)


@cache
def _source() -> random.Random:
    """Return this process's generator, seeded by the system.

    An identifier grants no access, so it need not be hard to guess. Each call to the system's
    source would release the interpreter lock, which a busy event loop then waits for.
    """
    return random.Random()  # noqa: S311 - see above
