"""From the images of a source to tasks, part by part; what is finished is passed over."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from lentigo_inference.errors import ResultFolderError, SourceError
from lentigo_inference.scoring.items import TASK_BYTES, TASK_IMAGES, Item, Task
from lentigo_inference.scoring.results import ImageListDigest, PartRecord
from lentigo_inference.scoring.sources.found import Found


@dataclass(frozen=True, slots=True)
class PartListed:
    """All images of a part have been given out as tasks.

    Attributes:
        part: its number.
        rows: number of its images.
        digest: of them.
    """

    part: int
    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class PartFinished:
    """A part was finished by an earlier run.

    Attributes:
        part: its number.
        rows: number of its images.
    """

    part: int
    rows: int


@dataclass(frozen=True, slots=True)
class SourceEnded:
    """The source cannot be read any further; what it gave is scored all the same."""

    error: SourceError


Step = Task | PartListed | PartFinished | SourceEnded


def plan(
    images: Iterable[Found], part_size: int, finished: Callable[[int], PartRecord | None]
) -> Iterator[Step]:
    """Give the steps of a run.

    A part with fewer images than the others is that of an archive that ended in the middle, and is
    scored again.

    Args:
        images: of the source.
        part_size: images of a part.
        finished: returns what is known of a part that is there.

    Raises:
        ResultFolderError: a finished part has other images than the source has now.
    """
    part = _Part(0, finished(0), part_size)
    iterator = iter(images)
    while True:
        try:
            found = next(iterator, None)
            task = None if found is None else part.add(found)
        except SourceError as error:
            yield from part.close()
            yield SourceEnded(error)
            return
        if found is None:
            yield from part.close()
            return
        if task is not None:
            yield task
        if part.full:
            yield from part.close()
            part = _Part(part.number + 1, finished(part.number + 1), part_size)


class _Part:
    """Collects the images of one part into tasks."""

    def __init__(self, number: int, record: PartRecord | None, size: int) -> None:
        self.number = number
        self._size = size
        self._record = record if record is not None and record.rows == size else None
        self._digest = ImageListDigest()
        self._listed = 0
        self._items: list[Item] = []

    @property
    def full(self) -> bool:
        return self._listed == self._size

    def add(self, found: Found) -> Task | None:
        """Take an image; return a task if one is full."""
        # First, because a stream may end here.
        place = found.place() if self._record is None else None
        self._digest.add(found.path, found.stamp)
        number = self.number * self._size + self._listed
        self._listed += 1
        if place is None:
            return None
        self._items.append(Item(number, found.path, place))
        bytes_so_far = sum(item.size for item in self._items)
        full = len(self._items) == TASK_IMAGES or bytes_so_far >= TASK_BYTES
        return self._task() if full else None

    def close(self) -> Iterator[Step]:
        if self._items:
            yield self._task()
        if self._record is not None:
            if self._record.digest != self._digest.hex():
                raise ResultFolderError(
                    f"The source is not what it was: part {self.number} has the results of other "
                    "images. Name another folder, or put the source back."
                )
            yield PartFinished(self.number, self._listed)
        elif self._listed:
            yield PartListed(self.number, self._listed, self._digest.hex())

    def _task(self) -> Task:
        task = Task(self.number, tuple(self._items))
        self._items = []
        return task
