"""How many processor cores this process may use, including a container's limit.

A container with a limit of two cores on a machine of sixty-four sees all of them. A runtime that
then starts sixty-four threads is stopped by the kernel for most of every period, and each answer
waits for its slowest thread.

Where the kernel keeps the limits of a container: its control groups, of version 2 and 1.

See cgroups(7) and the kernel's admin-guide/cgroup-v2.

How much memory a container may use, so that too little is reported before the work begins.

The kernel ends a process that exceeds it, without a word; see the kernel's admin-guide/cgroup-v2.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from lentigo_contract.errors import TooLittleMemoryError


def groups(controller: str, root: Path = Path("/")) -> Iterator[tuple[int, Path]]:
    """Return every control group that holds for this process, the innermost first.

    Args:
        controller: such as `cpu` or `memory`.
        root: where /proc and /sys lie; tests make their own.

    Yields:
        The version, 2 or 1, and the folder with the limits' files, which need not exist.
    """
    mounted = root / "sys/fs/cgroup"
    for line in limit_text(root / "proc/self/cgroup").splitlines():
        # hierarchy:controllers:path; version 2 names no controller.
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            for folder in _upwards(mounted, path):
                yield 2, folder
        elif controller in controllers.split(","):
            for mount in {controller, controllers}:
                for folder in _upwards(mounted / mount, path):
                    yield 1, folder


def limit_text(path: Path) -> str:
    """Read one of the kernel's files; empty if it is not there."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _upwards(top: Path, path: str) -> Iterator[Path]:
    """Return a control group's folder and those above it.

    Inside a container the path may be the host's, and nothing lies there; the top is then its own.
    """
    inside = PurePosixPath(path.strip().lstrip("/"))
    if ".." not in inside.parts:
        for part in (inside, *inside.parents):
            yield top / part
    else:
        yield top


_UNLIMITED: Final = "max"


def available_cores(root: Path = Path("/")) -> int:
    """Count the whole cores this process may use, at least 1.

    The least of the affinity mask and of every quota above this process, of control groups version
    2 (`cpu.max`) and 1 (`cpu.cfs_quota_us`); see the kernel's admin-guide/cgroup-v2 and
    scheduler/sched-bwc. A part of a core is left out: a thread for it would wait most of the time.

    Args:
        root: where /proc and /sys lie; tests make their own.
    """
    quotas = [int(quota) for quota in _quotas(root)]
    return max(1, min([_allowed_cores(), *quotas]))


def _allowed_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    """Return the cores of every quota that holds for this process."""
    for version, folder in groups("cpu", root):
        if version == 2:
            quota, _, period = limit_text(folder / "cpu.max").partition(" ")
        else:
            quota = limit_text(folder / "cpu.cfs_quota_us")
            period = limit_text(folder / "cpu.cfs_period_us")
        yield from _cores(quota, period)


def _cores(quota: str, period: str) -> Iterator[float]:
    """Microseconds of processor time in so many; no limit is "max" or -1."""
    if quota == _UNLIMITED:
        return
    try:
        allowed, of = int(quota), int(period)
    except ValueError:
        return
    if allowed > 0 and of > 0:
        yield allowed / of


# Version 1 writes "no limit" as the largest number of whole pages.
_NO_LIMIT: Final = 2**62


def memory_limit(root: Path = Path("/")) -> int | None:
    """Return the least limit, in bytes, that a control group sets this process; None without one.

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
