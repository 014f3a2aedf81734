"""Amounts, rates and durations as people read them."""

from typing import Final

from rich.filesize import decimal

BYTES: Final = "bytes"
"""The unit that is shown as kB, MB and GB; every other unit is shown as it is."""


def count_text(done: int, total: int | None, unit: str) -> str:
    """Write how much of a total is done: "1,200 of 10,015 images", "3.0 kB of 4.0 kB"."""
    if unit == BYTES:
        return decimal(done) if total is None else f"{decimal(done)} of {decimal(total)}"
    return f"{done:,} {unit}" if total is None else f"{done:,} of {total:,} {unit}"


def rate_text(per_second: float, unit: str) -> str:
    """Write a rate: "85 images/s", "0.05 epochs/s", "1.2 MB/s"."""
    if unit == BYTES:
        return f"{decimal(int(per_second))}/s"
    digits = 0 if per_second >= 10 else 2
    return f"{per_second:,.{digits}f} {unit}/s"


def duration_text(seconds: float) -> str:
    """Write seconds as "0:42" or "1:02:03"; below zero counts as none."""
    minutes, rest = divmod(max(round(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
