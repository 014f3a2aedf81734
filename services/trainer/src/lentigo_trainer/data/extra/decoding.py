"""Files of images, decoded in several threads, in their order."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from lentigo_contract.errors import ImageError
from lentigo_contract.imaging.read import ModelImage, read_image
from lentigo_trainer.data.dataset import UNREADABLE
from lentigo_trainer.data.extra.archives import ImageFile
from lentigo_trainer.data.extra.duplicates import DecodedImage, DuplicateIndex
from lentigo_trainer.system.progress import Progress

UNDECODABLE: Final = "not an image that can be decoded"
SEVERAL_FILES: Final = "found in several files that differ"

_AT_ONCE: Final = 64
"""Images in memory at a time, encoded and decoded."""


@dataclass(frozen=True, slots=True)
class ReadImage:
    """An image that was read.

    Attributes:
        name: without suffix.
        suffix: of its file.
        data: the file's bytes.
        sha256: of these, hex.
        image: decoded.
    """

    name: str
    suffix: str
    data: bytes
    sha256: str
    image: ModelImage

    def compared(self) -> DecodedImage:
        """Return what duplicates are found by."""
        return DecodedImage(self.name, self.sha256, self.image.pixels)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An image that cannot be used.

    Attributes:
        name: without suffix.
        reason: why.
    """

    name: str
    reason: str


Files = tuple[str, Sequence[ImageFile]]
"""Name of an image, and its files."""


def read_images(
    files: Sequence[Files], workers: int, progress: Progress, title: str
) -> Iterator[ReadImage | Unreadable]:
    """Read and decode images, in their order.

    Args:
        files: what to read; several files of one image must have the same bytes.
        workers: threads that read and decode.
        progress: shows how many are done.
        title: what it calls them.
    """
    with (
        ThreadPoolExecutor(workers) as pool,
        progress.track(title, total=len(files), unit="images") as step,
    ):
        for start in range(0, len(files), _AT_ONCE):
            for outcome in pool.map(_read_one, files[start : start + _AT_ONCE]):
                yield outcome
                step.advance()


def index_images(
    index: DuplicateIndex,
    owner: str,
    files: Sequence[Files],
    workers: int,
    progress: Progress,
) -> None:
    """Add images to an index, such as those of an evaluation set; unreadable ones are passed over.

    Args:
        index: receives them.
        owner: whose images they are, for messages.
        files: the images.
        workers: threads that read and decode.
        progress: shows how many are done.
    """
    for outcome in read_images(files, workers, progress, f"Reading {owner}"):
        if isinstance(outcome, ReadImage):
            index.add(outcome.compared(), f"{outcome.name} of {owner}")


def _read_one(item: Files) -> ReadImage | Unreadable:
    name, files = item
    try:
        data = files[0].read()
        if any(other.read() != data for other in files[1:]):
            return Unreadable(name, SEVERAL_FILES)
        image = read_image(data)
    except (ImageError, *UNREADABLE):
        return Unreadable(name, UNDECODABLE)
    return ReadImage(name, files[0].suffix, data, hashlib.sha256(data).hexdigest(), image)
