"""Classical lesion segmentation: colour, threshold, region, morphology.

    pixels -> hair removal -> pigment beyond the skin's -> threshold -> one plausible region

The threshold is Otsu's ("A threshold selection method from gray-level histograms", IEEE SMC 1979)
of one projection of the pigment, lowered by a factor, because people draw the outline where a
lesion begins to fade and Otsu cuts in the middle. Projection, factor and radii were tuned on the
tuning part of HAM10000's training lesions, see decision 42; it takes NumPy and Pillow alone, so
that a service without OpenCV can run it.
"""

from typing import Final

import numpy as np

from lentigo_contract.segmentation.hair import remove_hairs
from lentigo_contract.segmentation.morphology import Bytes, Mask
from lentigo_contract.segmentation.region import Floats, Segmentation, choose_region
from lentigo_contract.segmentation.skin import field_of_view, projected_pigment

PROJECTION: Final = (-0.3, 0.3, 1.0)
"""Of the density of red, green and blue: melanin absorbs blue most, a shadow all alike."""

_FACTOR: Final = 0.6
"""Of Otsu's threshold."""

_LEAST, _MOST = 0.08, 0.5
"""Bounds of the threshold, in units of density: below is the skin's own unevenness."""

_LOWEST, _HIGHEST, _BINS = -0.2, 1.2, 128
"""The histogram that Otsu's method sees."""

_DARK: Final = 75
"""Median of blue below which an image without any contrast is all lesion; skin is brighter in the
images of HAM10000. It cannot hold for every skin, so the finding says that there was no skin."""


def segment(pixels: Bytes) -> Segmentation:
    """Find the lesion of a dermatoscopic image.

    Args:
        pixels: uint8 [height, width, 3], sRGB, of the size of `size.working_image`.
    """
    return segment_without_hairs(remove_hairs(pixels).pixels)


def segment_without_hairs(pixels: Bytes) -> Segmentation:
    """Find the lesion of an image whose hairs were removed, see `segment`."""
    field = field_of_view(pixels)
    score = projected_pigment(pixels, field, PROJECTION)
    threshold = float(np.clip(_FACTOR * otsu(score[field]), _LEAST, _MOST))
    return choose_region(score > threshold, score, field, is_dark(pixels, field))


def is_dark(pixels: Bytes, field: Mask) -> bool:
    """Return whether the image as a whole is darker than skin is."""
    dark = np.count_nonzero((pixels[..., 2] < _DARK) & field)
    return bool(2 * dark > np.count_nonzero(field))


def otsu(values: Floats) -> float:
    """Return the threshold that separates two classes of values best, by Otsu's method.

    Args:
        values: of any shape; what lies outside of the histogram counts at its ends.
    """
    # A histogram of NumPy takes three times as long.
    width = (_HIGHEST - _LOWEST) / _BINS
    bins = np.clip((values - _LOWEST) * (1 / width), 0, _BINS - 1).astype(np.uint8)
    counts = np.bincount(bins.ravel(), minlength=_BINS)
    edges = np.linspace(_LOWEST, _HIGHEST, _BINS + 1)
    shares = counts / max(1, counts.sum())
    middles = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(shares)
    first_moment = np.cumsum(shares * middles)
    spread = below * (1 - below)
    between = (first_moment[-1] * below - first_moment) ** 2 / np.maximum(spread, 1e-9)
    return float(middles[between.argmax()])
