"""The size at which lesions are segmented, and lengths at other sizes."""

from typing import Final

import numpy as np
from PIL import Image

from lentigo_contract.segmentation.morphology import Bytes

WORKING_SIDE: Final = 300
"""Longer side of the image that is segmented, in pixels. Lengths in this package are for this size;
in a smaller image they are as much shorter, see `scale_of`."""


def working_image(image: Image.Image) -> Bytes:
    """Scale an RGB image to the size that is segmented, with its proportions.

    Returns:
        uint8 [height, width, 3], the longer side `WORKING_SIDE`; smaller images are enlarged.
    """
    size = size_in_proportion(*image.size, WORKING_SIDE)
    if size == image.size:
        return np.asarray(image.convert("RGB"), np.uint8)
    how = Image.Resampling.BOX if max(image.size) > WORKING_SIDE else Image.Resampling.BILINEAR
    return np.asarray(image.convert("RGB").resize(size, how), np.uint8)


def size_in_proportion(width: int, height: int, side: int) -> tuple[int, int]:
    """Return width and height of an image whose longer side is scaled to a number of pixels."""
    scale = side / max(width, height)
    return max(1, round(scale * width)), max(1, round(scale * height))


def scale_of(shape: tuple[int, ...]) -> float:
    """Return how many pixels of an image of [height, width] are one at `WORKING_SIDE`."""
    return max(shape[:2]) / WORKING_SIDE


def odd_length(length: float) -> int:
    """Return the odd number of pixels that is nearest to a length, at least 3."""
    return max(3, 2 * round((length - 1) / 2) + 1)
