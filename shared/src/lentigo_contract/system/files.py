"""Atomic writes, careful opening of files, and the errors of a full or broken disk."""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Final

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_UNWRITABLE: Final = (
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ENOTDIR,
)
_CANNOT_FLUSH_FOLDERS: Final = (errno.EINVAL, errno.EOPNOTSUPP)
# TensorFlow and HDF5 report these only in text, in the C library's words.
_TOLD_IN_WORDS: Final = (*_FULL, errno.EROFS)


def is_full_disk(error: Exception) -> bool:
    """Return whether an error means that a disk or a quota is full."""
    return _is_any_of(error, _FULL)


def is_of_the_disk(error: Exception) -> bool:
    """Return whether an error means that a disk is full, read-only, broken or not writable."""
    return _is_any_of(error, (*_FULL, *_UNWRITABLE))


def _is_any_of(error: Exception, codes: tuple[int, ...]) -> bool:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in codes
    words = str(error)
    return any(os.strerror(code) in words for code in codes if code in _TOLD_IN_WORDS)


def write_atomically(
    path: Path, content: bytes | Callable[[BinaryIO], object], mode: int = 0o666
) -> None:
    """Write a file beside its place, flush it to the disk, and move it there in one step.

    An interruption leaves the old file or the new one, never half of one. Two processes must not
    write the same file at the same time.

    Args:
        path: where the file belongs; its folder exists.
        content: the bytes, or what writes them to a file object.
        mode: of the new file, less the umask.

    Raises:
        OSError: the disk is full or not writable; the file is unchanged.
    """
    unfinished = path.with_name(f".{path.name}.part")
    # Left by a killed process, it would keep its own mode.
    unfinished.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(unfinished, flags, mode), "wb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                content(file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise


def open_plain(path: str | Path) -> FileIO:
    """Open a file for reading, unbuffered, without following a link or waiting on a pipe.

    Raises:
        OSError: it cannot be opened, or is a link.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    return FileIO(os.open(path, flags))


def read_start(path: Path, size: int) -> bytes | None:
    """Return the first bytes of a file, at most `size`; None if it is a folder, a pipe or a device.

    Links are followed. Reading a pipe could wait for ever.

    Raises:
        OSError: it cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        return None
    with path.open("rb") as file:
        return file.read(size)


def flush_folder(path: Path) -> None:
    """Flush the names in a folder, where the file system can do that at all."""
    try:
        flush(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH_FOLDERS:
            raise


def flush(path: Path, flags: int) -> None:
    """Flush a file or a folder, opened with `flags`, to the disk."""
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
