"""CIELAB of sRGB pixels, and the colour of the light.

Conversion by IEC 61966-2-1 and CIE 015 (D65, two degrees). The colour of the light is estimated by
Shades of Gray (Finlayson and Trezzi, "Shades of Gray and Colour Constancy", Color Imaging
Conference 2004) with the sixth power, as Barata, Celebi and Marques found useful for dermatoscopic
images ("Improving Dermoscopy Image Classification Using Color Constancy", IEEE JBHI 19, 2015).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

Counts = npt.NDArray[np.intp]
"""How often each of 256 values occurs in each of three channels, [3, 256]."""

_POWER: Final = 6

_TO_XYZ: Final = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_WHITE: Final = _TO_XYZ.sum(axis=1)
_DARK: Final = 216 / 24389
_SLOPE: Final = 24389 / 27

_LINEAR: Final = np.array(
    [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in np.arange(256) / 255
    ]
)
"""Linear light of each of the 256 values of a channel."""


_POWERS: Final = (np.arange(256) / 255) ** _POWER


def cielab(pixels: npt.NDArray[np.uint8]) -> Floats:
    """Return L*, a*, b* of sRGB pixels, uint8 [..., 3] to float64 [..., 3]."""
    xyz = _LINEAR[pixels] @ (_TO_XYZ.T / _WHITE)
    cubic = np.where(xyz > _DARK, np.cbrt(xyz), (_SLOPE * xyz + 16) / 116)
    x, y, z = np.moveaxis(cubic, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def lightness(pixels: npt.NDArray[np.uint8]) -> Floats:
    """Return L* alone of sRGB pixels, uint8 [..., 3] to float64 [...]."""
    luminance = _LINEAR[pixels] @ (_TO_XYZ[1] / _WHITE[1])
    cubic = np.where(luminance > _DARK, np.cbrt(luminance), (_SLOPE * luminance + 16) / 116)
    return np.asarray(116 * cubic - 16)


def counts_of(pixels: npt.NDArray[np.uint8]) -> Counts:
    """Return how often each channel has each value, [3, 256], of pixels [n, 3]."""
    return np.stack([np.bincount(channel, minlength=256) for channel in pixels.T])


def median_of(counts: Counts) -> npt.NDArray[np.uint8]:
    """Return the median of each channel, [3], from its counts; the lower one of two."""
    sums = np.cumsum(counts, axis=1)
    median: npt.NDArray[np.uint8] = (2 * sums >= sums[:, -1:]).argmax(axis=1).astype(np.uint8)
    return median


def gains_of(counts: Counts) -> Floats:
    """Return the factors, [3], by which an image's channels look as under white light.

    Args:
        counts: of its pixels, see `counts_of`.
    """
    light = (counts @ _POWERS / max(1, counts[0].sum()) + 1e-12) ** (1 / _POWER)
    gains: Floats = np.sqrt((light**2).mean()) / light
    return gains


def under_white_light(pixels: npt.NDArray[np.uint8], gains: Floats) -> npt.NDArray[np.uint8]:
    """Apply the factors of `gains_of`."""
    return np.clip(np.rint(pixels * gains), 0, 255).astype(np.uint8)
