"""Many names in one sentence."""

from collections.abc import Iterable
from typing import Final

SHOWN: Final = 10


def listed(names: Iterable[object]) -> str:
    """Name the first of them: "a, b, c", "a, b, c, d, e, f, g, h, i, j and 5 more"."""
    texts = [str(name) for name in names]
    more = f" and {len(texts) - SHOWN:,} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more
