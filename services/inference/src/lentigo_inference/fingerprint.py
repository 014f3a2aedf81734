"""What a folder looks like, without reading its files."""

import os
from pathlib import Path

# For every entry: relative path, inode, size, and times of content and status, in nanoseconds.
FolderFingerprint = frozenset[tuple[str, int, int, int, int]]


def fingerprint(folder: Path) -> FolderFingerprint:
    """Describe everything under a folder, so that any change of content or rights shows.

    What cannot be listed or looked at is left out; becoming readable is a change, too. No link is
    followed.
    """
    entries = set()
    pending = [os.fspath(folder)]
    while pending:
        path = pending.pop()
        try:
            with os.scandir(path) as scan:
                for entry in scan:
                    entries.add(_described(entry, folder))
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
        except OSError:
            continue
    return frozenset(entries)


def _described(entry: os.DirEntry[str], folder: Path) -> tuple[str, int, int, int, int]:
    status = entry.stat(follow_symlinks=False)
    relative = os.path.relpath(entry.path, folder)
    return (relative, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
