"""Pictures to compare: one image stored in two ways must give the network the same pixels."""

import io
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from lentigo_contract.imaging.read import read_image
from tests.fakes import lesion_image

Pixels = npt.NDArray[np.uint8]

# A lesion with fine texture, odd sides, and no symmetry.
PLAIN: Final = lesion_image(7, "akiec", (301, 227))


def pixels_of(data: bytes) -> Pixels:
    """What the network gets."""
    return read_image(data).pixels


def lossless(image: Image.Image) -> bytes:
    """Encode as plain PNG."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def plain_pixels(image: Image.Image = PLAIN) -> Pixels:
    """What the network gets of the plain RGB twin."""
    return pixels_of(lossless(image))


def difference(first: Pixels, second: Pixels) -> tuple[float, int]:
    """Mean and largest absolute difference, in levels of 0 to 255."""
    apart = np.abs(first.astype(np.int16) - second.astype(np.int16))
    return float(apart.mean()), int(apart.max())
