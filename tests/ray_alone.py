"""One test of Ray at a time: two clusters of one machine disturb each other."""

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def ray_alone() -> Iterator[None]:
    """Wait until no other process of the tests runs a cluster, and keep them waiting."""
    path = Path(tempfile.gettempdir()) / "lentigo-tests-of-ray.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
