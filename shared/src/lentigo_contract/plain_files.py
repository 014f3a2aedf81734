"""Opening files of a version, which may have been put there to trip the reader up."""

import os
from io import FileIO
from pathlib import Path


def open_plain(path: str | Path) -> FileIO:
    """Open a file for reading, unbuffered, without following a link or waiting on a pipe.

    Raises:
        OSError: it cannot be opened, or is a link.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    return FileIO(os.open(path, flags))
