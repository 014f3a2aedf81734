"""Where the kernel keeps the limits of a container: its control groups, of version 2 and 1.

See cgroups(7) and the kernel's admin-guide/cgroup-v2.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def groups(controller: str, root: Path = Path("/")) -> Iterator[tuple[int, Path]]:
    """Give every control group that holds for this process, the innermost first.

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
    """Give a control group's folder and those above it.

    Inside a container the path may be the host's, and nothing lies there; the top is then its own.
    """
    inside = PurePosixPath(path.strip().lstrip("/"))
    if ".." not in inside.parts:
        for part in (inside, *inside.parents):
            yield top / part
    else:
        yield top
