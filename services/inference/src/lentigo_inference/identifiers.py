"""Time-ordered identifiers for answers."""

import secrets
import time
import uuid
from typing import Final

_VERSION: Final = 7
_VARIANT: Final = 0b10


def uuid7(milliseconds: int | None = None) -> uuid.UUID:
    """Make a UUID version 7: 48 bits of Unix time, then 74 random bits (RFC 9562, section 5.7).

    Answers sort by the time they were given, and reveal nothing else.

    Args:
        milliseconds: Unix time; now, if not given.
    """
    if milliseconds is None:
        milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (2**48 - 1)) << 80
    value |= _VERSION << 76
    # One call to the system for both random fields: each gives other threads the interpreter.
    drawn = secrets.randbits(12 + 62)
    value |= (drawn >> 62) << 64
    value |= _VARIANT << 62
    value |= drawn & (2**62 - 1)
    return uuid.UUID(int=value)
