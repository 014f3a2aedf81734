"""Which errors mean that a disk is full or a place cannot be written, told by every sign of it.

Opening files of a version, which may have been put there to trip the reader up.
"""

import errno
import os
from io import FileIO
from pathlib import Path
from typing import Final

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_UNWRITABLE: Final = (
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ENOTDIR,
)
# TensorFlow and HDF5 tell of these only in words, those of the C library.
_TOLD_IN_WORDS: Final = (*_FULL, errno.EROFS)


def is_full_disk(error: Exception) -> bool:
    """Tell whether an error says that a disk or a quota is full."""
    return _is_any_of(error, _FULL)


def is_of_the_disk(error: Exception) -> bool:
    """Tell whether an error says that a disk is full, read-only, broken or not ours to write."""
    return _is_any_of(error, (*_FULL, *_UNWRITABLE))


def _is_any_of(error: Exception, codes: tuple[int, ...]) -> bool:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in codes
    words = str(error)
    return any(os.strerror(code) in words for code in codes if code in _TOLD_IN_WORDS)


def open_plain(path: str | Path) -> FileIO:
    """Open a file for reading, unbuffered, without following a link or waiting on a pipe.

    Raises:
        OSError: it cannot be opened, or is a link.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    return FileIO(os.open(path, flags))
