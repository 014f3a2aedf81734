"""A folder to write a version in, out of every reader's sight.

    .staging-<uuid>/lock        held with flock(2) while its publisher lives
    .staging-<uuid>/version/    what will be renamed to the version's number

The kernel drops the lock when the publisher ends, however it ends, so a staging folder whose lock
can be taken is stale. On a file system without locks nothing is ever taken for stale.
"""

import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from lentigo_contract.layout import FOLDER_MODE, STAGING_PREFIX

_LOCK_NAME: Final = "lock"
_VERSION_NAME: Final = "version"

_NO_LOCKS_HERE: Final = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def staging_folder(model_folder: Path) -> Iterator[Path]:
    """Make a staging folder, give the folder to fill, and remove whatever is left at the end.

    Raises:
        OSError: it cannot be made.
    """
    while True:
        staging = model_folder / f"{STAGING_PREFIX}{uuid.uuid4().hex}"
        staging.mkdir()
        lock = _take_lock(staging)
        # Another publisher may have met the folder before its lock was held, and cleared it.
        if lock is not None:
            break
    try:
        version = staging / _VERSION_NAME
        version.mkdir()
        version.chmod(FOLDER_MODE)
        yield version
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        os.close(lock)


def clear_stale_staging(model_folder: Path) -> None:
    """Remove what publishers that no longer live have left behind, as far as it can be removed."""
    for staging in model_folder.glob(f"{STAGING_PREFIX}*"):
        with suppress(OSError):
            lock = None if staging.is_symlink() else _take_lock(staging, required=True)
            if lock is not None:
                shutil.rmtree(staging, ignore_errors=True)
                os.close(lock)


def _take_lock(staging: Path, *, required: bool = False) -> int | None:
    """Lock a staging folder; None if another publisher holds it or it has just been cleared."""
    path = staging / _LOCK_NAME
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), path.stat()):
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError as error:
        if error.errno in _NO_LOCKS_HERE and not required:
            return lock
        os.close(lock)
        raise
    os.close(lock)
    return None
