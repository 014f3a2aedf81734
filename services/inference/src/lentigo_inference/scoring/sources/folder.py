"""Images of a folder and of all folders below, in the order of their names.

Zip and tar files in it are read as if they were folders. A link that leads out of it is not
followed: what is scored is what the folder holds.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lentigo_inference.errors import FetchError, FetchFailure, SourceError
from lentigo_inference.scoring.items import LocalFile, Unusable
from lentigo_inference.scoring.sources.archives import archive_images, is_archive_name
from lentigo_inference.scoring.sources.found import Found, is_image_name, printable


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A folder."""

    folder: Path
    max_bytes: int

    @property
    def identity(self) -> dict[str, str]:
        """See `Source`."""
        return {"kind": "folder", "path": printable(str(self.folder.resolve()))}

    def images(self) -> Iterator[Found]:
        """See `Source`."""
        root = self.folder.resolve()
        for name in _files_below(self.folder):
            path = self.folder / name
            if is_image_name(name):
                yield _found(root, path, name)
            elif is_archive_name(name) and not path.is_symlink():
                for found in archive_images(path, self.max_bytes):
                    yield Found(f"{printable(name)}/{found.path}", found.stamp, found.place)


def _files_below(folder: Path) -> Iterator[str]:
    """Give the files below a folder by their relative names; one folder is in memory at a time."""
    pending = [""]
    while pending:
        relative = pending.pop()
        if relative.endswith("/") or not relative:
            entries = _listed(folder / relative, relative)
            pending += reversed(entries)
        else:
            yield relative


def _listed(folder: Path, relative: str) -> list[str]:
    """Return what is in a folder, sorted; folders end in a slash, and links to them are left."""
    names: list[str] = []
    try:
        with os.scandir(folder) as scan:
            for entry in scan:
                if entry.is_dir(follow_symlinks=False):
                    names.append(f"{relative}{entry.name}/")
                elif not (entry.is_symlink() and entry.is_dir()):
                    names.append(relative + entry.name)
    except OSError as error:
        raise SourceError(
            f"{folder} cannot be listed ({error.strerror or error}). Let this user read it."
        ) from error
    return sorted(names)


def _found(root: Path, path: Path, name: str) -> Found:
    try:
        inside = not path.is_symlink() or path.resolve().is_relative_to(root)
        size = path.stat().st_size if inside else 0
    except (OSError, RuntimeError):
        # Fetching it says what is wrong.
        return Found(printable(name), "", lambda: LocalFile(path))
    if not inside:
        error = FetchError(
            "This is a link that leads out of the folder. List such images in a table.",
            FetchFailure.UNSAFE_PATH,
        )
        return Found(printable(name), "", lambda: Unusable(error))
    return Found(printable(name), str(size), lambda: LocalFile(path, size))
