"""Writing to disk so that an interruption leaves the old file or the new one, never half of one."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lentigo_contract.errors import StorageError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn a full or unwritable disk into a `StorageError` that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageError(
                f"The disk that holds {path} is full. Free some space and run the same command "
                "again; what is finished is kept."
            ) from error
        if error.errno in _DENIED:
            raise StorageError(
                f"{path} cannot be written ({error.strerror}). Check owner and mount, or choose "
                "another folder."
            ) from error
        raise


def require_space(folder: Path, needed: int) -> None:
    """Check for free space before a long write begins.

    Args:
        folder: an existing folder on the disk in question.
        needed: bytes still to be written.

    Raises:
        StorageError: less is free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageError(
            f"{folder} needs {needed / 1e9:.1f} GB of free space; {free / 1e9:.1f} GB are free. "
            "Free some, or put --work on a larger disk."
        )


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file beside its place, flush it to the disk, and move it there in one step.

    Raises:
        StorageError: the disk is full or not writable; the file is as it was.
    """
    unfinished = path.with_name(f".{path.name}.part")
    with storage_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
