"""The lesion of an image and the skin beside it, as every feature sees them."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from lentigo_contract.segmentation.morphology import Bytes, Mask
from lentigo_contract.segmentation.region import Finding, Segmentation

_FEWEST_SKIN: Final = 200
"""Pixels of skin below which its colour is not known."""


@dataclass(frozen=True, slots=True)
class Lesion:
    """One lesion.

    Attributes:
        pixels: uint8 [height, width, 3], sRGB, without hairs.
        lab: the same in CIE L*a*b*, float32 [height, width, 3].
        grey: the same in grey, uint8 [height, width].
        mask: the lesion, bool [height, width], at least one pixel. Where no lesion was found it is
            the whole field of view: an image without one still gets an answer.
        skin: the field of view beside it; may be empty.
        field: the field of view.
        found: whether the segmentation found a lesion with skin beside it.
    """

    pixels: Bytes
    lab: npt.NDArray[np.float32]
    grey: Bytes
    mask: Mask
    skin: Mask
    field: Mask
    found: bool


def describe_lesion(pixels: Bytes, segmentation: Segmentation) -> Lesion:
    """Prepare an image for its features.

    Args:
        pixels: uint8 [height, width, 3], sRGB, without hairs.
        segmentation: of this image.
    """
    found = segmentation.finding is Finding.LESION and bool(segmentation.mask.any())
    mask = segmentation.mask if found else segmentation.field
    skin = segmentation.field & ~mask
    if skin.sum() < _FEWEST_SKIN:
        skin = np.zeros_like(mask)
    return Lesion(
        pixels=pixels,
        lab=np.asarray(
            cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2Lab), np.float32
        ),
        grey=np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8),
        mask=mask,
        skin=skin,
        field=segmentation.field,
        found=found,
    )
