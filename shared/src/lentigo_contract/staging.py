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

STAGING_PREFIX: Final = ".staging-"

_LOCK_NAME: Final = "lock"
_VERSION_NAME: Final = "version"

# Published files are for every user: the service reads the volume under another user id.
FOLDER_MODE: Final = 0o755
FILE_MODE: Final = 0o644

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
            lock = _take_lock(staging, required=True)
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


def make_durable(version: Path) -> None:
    """Set the modes of a filled folder and flush it, files before the folders that name them.

    Raises:
        OSError: the disk did not take it.
    """
    for path, folders, files in os.walk(version, topdown=False):
        for name in files:
            flush_file(Path(path, name))
        for name in folders:
            Path(path, name).chmod(FOLDER_MODE)
        flush_folder(Path(path))


def flush_file(path: Path) -> None:
    """Make one file readable for all and flush it to the disk."""
    path.chmod(FILE_MODE)
    _flush(path, os.O_RDONLY)


def flush_folder(path: Path) -> None:
    """Flush the names in a folder, where the file system can do that at all."""
    try:
        _flush(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
