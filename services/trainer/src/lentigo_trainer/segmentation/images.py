"""Images at the size that is segmented, and people's masks of them."""

import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageOps

from lentigo_contract.segmentation.morphology import Bytes, Mask
from lentigo_contract.segmentation.size import working_image
from lentigo_trainer.data.ham10000 import ImageReader, images_of
from lentigo_trainer.errors import DamagedImagesError, MaskError, SourceNotFoundError

SUFFIX: Final = "_segmentation"
"""The name of a mask is that of its image with this behind."""

_READABLE: Final = ("JPEG", "PNG")


def read_working(data: bytes) -> Bytes:
    """Decode an image, orient and scale it.

    Returns:
        uint8 [height, width, 3], see `size.working_image`.

    Raises:
        DamagedImagesError: it cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_READABLE) as image:
            return working_image(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DamagedImagesError(
            f"An image cannot be decoded ({error}). Fetch it again, or remove its row from the "
            "metadata."
        ) from error


def read_mask(data: bytes, shape: tuple[int, int]) -> Mask:
    """Decode a mask, and scale it to the height and width of its image.

    A mask of another size fits where it has the image's proportions, to a pixel and a half: masks
    are published at the size of the original images.

    Raises:
        MaskError: it cannot be decoded, or has other proportions.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_READABLE) as image:
            grey = image.convert("L")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise MaskError(f"A mask cannot be decoded ({error}). Fetch the masks again.") from error
    height, width = shape
    if abs(grey.width * height - grey.height * width) > 1.5 * max(grey.size):
        raise MaskError(
            f"A mask has {grey.width} x {grey.height} pixels and does not fit its image of "
            f"{width} x {height}. Take the masks that belong to these images."
        )
    if grey.size != (width, height):
        grey = grey.resize((width, height), Image.Resampling.BOX)
    return np.asarray(grey) > 127


@contextmanager
def open_masks(place: Path) -> Iterator[Mapping[str, ImageReader]]:
    """Open a zip archive or folder of masks; yield a reader for each, by the name of its image.

    Raises:
        SourceNotFoundError: it is not there, or has no mask.
        DamagedArchiveError: the archive is cut off.
    """
    if not place.exists():
        raise SourceNotFoundError(
            f"There is no {place}. Give --masks the archive or folder of HAM10000's masks, such as "
            "HAM10000_segmentations_lesion_tschandl.zip of its Dataverse record."
        )
    with ExitStack() as stack:
        found = {
            name.removesuffix(SUFFIX): reader
            for name, reader in images_of(place, stack)
            if name.endswith(SUFFIX)
        }
        if not found:
            raise SourceNotFoundError(
                f"{place} has no mask; their names end in {SUFFIX}.png. Give --masks another one."
            )
        yield found


def read_bytes(reader: ImageReader, name: str) -> bytes:
    """Read the encoded bytes of an image.

    Raises:
        DamagedImagesError: the archive is damaged there.
    """
    try:
        return reader()
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError) as error:
        raise DamagedImagesError(f"{name} cannot be read ({error}). Fetch it again.") from error
