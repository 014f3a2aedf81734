"""What goes to a worker: images, by their bytes or by where these are, in small tasks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lentigo_inference.errors import FetchError, FetchFailure

TASK_IMAGES: Final = 32
"""Images in a task, at most: a third of a second for one core, and one message to its worker."""

TASK_BYTES: Final = 16 * 2**20
"""Bytes that come with a task, at most, unless a single image has more."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """An image in a file of this machine.

    Attributes:
        path: of the file.
        size: in bytes; 0 if it cannot be told.
    """

    path: Path
    size: int = 0


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of an image, which were read already."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Url:
    """An image that whoever scores it fetches."""

    url: str


@dataclass(frozen=True, slots=True)
class Unusable:
    """An image whose bytes cannot be had; the error says why."""

    error: FetchError

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the error by its parts: exceptions only pickle their message."""
        return (_unusable, (str(self.error), self.error.reason))


def _unusable(message: str, reason: str) -> Unusable:
    return Unusable(FetchError(message, FetchFailure(reason)))


Place = LocalFile | Content | Url | Unusable


@dataclass(frozen=True, slots=True)
class Item:
    """One image of an archive.

    Attributes:
        number: its place in the archive, from 0.
        path: as the archive or the table gives it.
        place: its bytes, or where they are.
    """

    number: int
    path: str
    place: Place

    @property
    def size(self) -> int:
        """Bytes that it brings along, or will once it is read; 0 if unknown."""
        match self.place:
            case Content():
                return len(self.place.data)
            case LocalFile():
                return self.place.size
            case _:
                return 0


@dataclass(frozen=True, slots=True)
class Task:
    """Some images that are scored together.

    Attributes:
        part: number of the part that their rows belong to.
        items: at least one.
        losses: how often a worker ended while it had this task.
    """

    part: int
    items: tuple[Item, ...]
    losses: int = 0
