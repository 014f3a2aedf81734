"""What every source gives: images in an order that is always the same, each with a way to it."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Protocol, runtime_checkable

from lentigo_inference.scoring.items import Place

IMAGE_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"},
)
"""Names that count as images in folders and archive files; a table may name any file."""


@dataclass(frozen=True, slots=True)
class Found:
    """An image that a source has.

    Attributes:
        path: as the archive or the table gives it.
        stamp: changes when the image does, as far as its source tells: a size or a check sum.
        place: says where its bytes are, or reads them; only until the next image is asked for.
    """

    path: str
    stamp: str
    place: Callable[[], Place]


class Source(Protocol):
    """An archive."""

    @property
    def identity(self) -> dict[str, str]:
        """What it is, as the folder with the results has it on record."""

    def images(self) -> Iterator[Found]:
        """Give every image, each time in the same order.

        Raises:
            SourceError: it cannot be read any further.
        """


@runtime_checkable
class ListedSource(Source, Protocol):
    """An archive that is asked for its list once, before its images."""

    def list_instances(self, note: Callable[[int], None]) -> None:
        """Have the whole list; `note` is told how many there are so far.

        Raises:
            SourceError: the archive cannot be asked any further.
            ResultFolderError: the list cannot be kept.
        """


def is_image_name(name: str) -> bool:
    """Return whether a file or member counts as an image, by its name alone."""
    path = PurePosixPath(name)
    hidden = path.name.startswith(".") or "__MACOSX" in path.parts
    return not hidden and path.suffix.lower() in IMAGE_SUFFIXES


def leaves_archive(name: str) -> bool:
    """Return whether the name of a member would lead out of the folder it is unpacked into."""
    posix = name.replace("\\", "/")
    drive = len(posix) > 1 and posix[1] == ":"
    return posix.startswith("/") or drive or ".." in posix.split("/")


def printable(path: str) -> str:
    """Return a path as text that can be stored: bytes that are not UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
