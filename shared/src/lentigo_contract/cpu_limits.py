"""How many processor cores this process was given, a container's limit included.

A container with a limit of two cores on a machine of sixty-four sees all of them. A runtime that
then starts sixty-four threads is stopped by the kernel for most of every period, and each answer
waits for its slowest thread.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lentigo_contract.control_groups import groups, limit_text

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
    """Give the cores of every quota that holds for this process."""
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
