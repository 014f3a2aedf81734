"""How many processor cores this process was given, a container's limit included.

A container with a limit of two cores on a machine of sixty-four sees all of them. A runtime that
then starts sixty-four threads is stopped by the kernel for most of every period, and each answer
waits for its slowest thread.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

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
    control_groups = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        # hierarchy:controllers:path, as cgroups(7) has it; version 2 names no controller.
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            for folder in _upwards(control_groups, path):
                quota, _, period = _text(folder / "cpu.max").strip().partition(" ")
                yield from _cores(quota, period)
        elif "cpu" in controllers.split(","):
            for mount in {"cpu", controllers}:
                for folder in _upwards(control_groups / mount, path):
                    quota = _text(folder / "cpu.cfs_quota_us")
                    yield from _cores(quota, _text(folder / "cpu.cfs_period_us"))


def _upwards(top: Path, path: str) -> Iterator[Path]:
    """Give a control group's folder and those above it.

    Inside a container the path may be the host's, and nothing lies there; the top is then its own.
    """
    inside = PurePosixPath(path.strip().lstrip("/"))
    if ".." not in inside.parts:
        for part in (inside, *inside.parents):
            yield top / part
    else:
        yield top


def _cores(quota: str, period: str) -> Iterator[float]:
    """Microseconds of processor time in so many; no limit is "max" or -1."""
    if quota.strip() == _UNLIMITED:
        return
    try:
        allowed, of = int(quota), int(period)
    except ValueError:
        return
    if allowed > 0 and of > 0:
        yield allowed / of


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
