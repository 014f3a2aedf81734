"""How much memory a container may use, so that too little is told before the work begins.

The kernel ends a process that exceeds it, without a word; see the kernel's admin-guide/cgroup-v2.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lentigo_contract.control_groups import groups, limit_text
from lentigo_contract.errors import TooLittleMemoryError

# Version 1 writes "no limit" as the largest number of whole pages.
_NO_LIMIT: Final = 2**62


def memory_limit(root: Path = Path("/")) -> int | None:
    """Give the least limit, in bytes, that a control group sets this process; None without one.

    Args:
        root: where /proc and /sys lie; tests make their own.
    """
    return min(_limits(root), default=None)


def require_memory(needed: int, purpose: str, root: Path = Path("/")) -> None:
    """Check a limit before it is met.

    Args:
        needed: bytes.
        purpose: what they are needed for, as the subject of a sentence.
        root: as above.

    Raises:
        TooLittleMemoryError: the limit is lower.
    """
    limit = memory_limit(root)
    if limit is not None and limit < needed:
        raise TooLittleMemoryError(
            f"{purpose} needs at least {needed / 2**20:,.0f} MiB of memory, and this container may "
            f"use {limit / 2**20:,.0f}. Raise its limit."
        )


def _limits(root: Path) -> Iterator[int]:
    for version, folder in groups("memory", root):
        text = limit_text(folder / ("memory.max" if version == 2 else "memory.limit_in_bytes"))
        # "max", or nothing where there is no such file, is no limit.
        if text.isdecimal() and int(text) < _NO_LIMIT:
            yield int(text)
