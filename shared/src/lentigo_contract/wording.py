"""Words of messages: counts, and what a library says of its failure."""

from typing import Final

_PLURALS: Final = {"diagnosis": "diagnoses"}


def pluralize(count: int, noun: str, plural: str | None = None) -> str:
    """Write a count with what it counts: "1 file", "9,077 images".

    Args:
        count: 0 or above.
        noun: what one of them is called; a verb may follow, as in "image was".
        plural: the same for any other number; by default the noun with an "s".
    """
    several = plural or _PLURALS.get(noun, f"{noun}s")
    return f"{count:,} {noun if count == 1 else several}"


def first_line(error: Exception) -> str:
    """Return the part of a runtime's error message that fits into one of ours."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
