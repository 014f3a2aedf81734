"""Encoded images to pixels, by the service's own function, several at a time."""

import hashlib
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from lentigo_contract.errors import DamagedImagesError, ImageError
from lentigo_contract.imaging.read import ModelImage, read_image
from lentigo_trainer.source import ImageReader
from lentigo_trainer.system.progress import Progress

# So many are handed out at a time: what is decoded waits in memory for its turn to be written.
_CHUNK: Final = 256

# The archive's directory is whole, but a member is not, or is locked with a password.
UNREADABLE: Final = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError)


def decode(
    chosen: Sequence[tuple[str, ImageReader]], workers: int, progress: Progress
) -> Iterator[tuple[str, ModelImage]]:
    """Read and decode images, in their order.

    Args:
        chosen: name and reader of each image.
        workers: threads that decode; Pillow lets them run side by side.
        progress: told how many images are done.

    Yields:
        SHA-256 of the encoded bytes, hex, and the image.

    Raises:
        DamagedImagesError: after the last image, naming every one that cannot be decoded.
    """
    damaged: list[str] = []
    with (
        ThreadPoolExecutor(workers) as pool,
        progress.track("Decoding", total=len(chosen), unit="images") as step,
    ):
        for start in range(0, len(chosen), _CHUNK):
            for outcome in pool.map(_decode_one, chosen[start : start + _CHUNK]):
                if isinstance(outcome, str):
                    damaged.append(outcome)
                else:
                    yield outcome
                step.advance()
    if damaged:
        raise DamagedImagesError(
            f"{len(damaged)} of {len(chosen):,} images cannot be read: {', '.join(damaged)}. "
            "Fetch them again, or take their rows out of the table that lists them."
        )


def _decode_one(item: tuple[str, ImageReader]) -> tuple[str, ModelImage] | str:
    name, read = item
    try:
        data = read()
        return hashlib.sha256(data).hexdigest(), read_image(data)
    except ImageError:
        return name
    except UNREADABLE:
        return name
