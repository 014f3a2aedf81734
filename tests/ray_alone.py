"""One test of Ray at a time: two clusters of one machine disturb each other."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MODE = "RAY_AUTH_MODE"


@contextmanager
def ray_alone() -> Iterator[None]:
    """Wait until no other process of the tests runs a cluster, and keep them waiting.

    Without a mode, Ray writes a token into the home directory, and then asks for it.
    """
    path = Path(tempfile.gettempdir()) / "lentigo-tests-of-ray.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        before = os.environ.get(_MODE)
        os.environ[_MODE] = "disabled"
        try:
            yield
        finally:
            if before is None:
                del os.environ[_MODE]
            else:
                os.environ[_MODE] = before
