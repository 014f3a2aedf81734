"""A perceptual hash: 256 bits that tell a copy of an image, whatever was done to the file.

A copy may have another size or JPEG quality, be turned by quarter turns, mirrored, or have lost up
to 5 % at each side. The bits are the signs of the image's lowest 16 by 16 cosine coefficients
(after Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010):

- A quarter turn or a mirror exchanges coefficients or changes their signs, so one transform gives
  all eight orientations.
- What is kept of a training image is the hash of its inner 90 %, which a slightly cropped copy
  still shows. An image to check is hashed in several windows, one of which has that content.

Decision 21 has what it finds and what it confuses.
"""

from functools import cache
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt

SIDE: Final = 16
"""Cosine coefficients a side."""

HASH_BYTES: Final = SIDE * SIDE // 8

MARGIN: Final = 0.05
"""Share of the width and of the height that a copy may lack at each side."""

LIMIT: Final = 36
"""Bits of 256 in which a copy may differ."""

# What may be missing at the two ends of an axis, as a share of it.
_CROPS: Final = (
    (0.0, 0.0),
    (MARGIN, 0.0),
    (0.0, MARGIN),
    (MARGIN / 2, MARGIN / 2),
    (MARGIN, MARGIN),
    (MARGIN / 2, 0.0),
    (0.0, MARGIN / 2),
)

# Mean grey values are enough for 16 coefficients, and four times quicker than every pixel.
_POOL: Final = 2

Hashes = npt.NDArray[np.uint8]
"""One hash a row, [n, 32]."""

_Floats = npt.NDArray[np.float64]


def image_hash(pixels: npt.NDArray[np.uint8]) -> Hashes:
    """Return what is kept of a training image: the hash of its inner 90 %, [32].

    Args:
        pixels: RGB, uint8 [side, side, 3], with an even side.
    """
    grey = _grey(pixels)
    basis = _basis(len(grey), 0.0, 0.0)
    inner: Hashes = _packed((basis @ grey @ basis.T)[None])[0]
    return inner


def hashes_to_compare(pixels: npt.NDArray[np.uint8]) -> Hashes:
    """Return the hashes of every window and orientation of an image to check, [392, 32].

    Args:
        pixels: RGB, uint8 [side, side, 3], with an even side.
    """
    grey = _grey(pixels)
    bases = np.stack([_basis(len(grey), *crop) for crop in _CROPS])
    rows = bases @ grey
    windows = np.stack([rows[y] @ bases[x].T for y, x in product(range(len(bases)), repeat=2)])
    return _packed(np.concatenate([_orientation(windows, number) for number in range(8)]))


def nearest(queries: Hashes, stored: Hashes) -> tuple[int, int]:
    """Find the stored hash that is nearest to any of the queries.

    Args:
        queries: hashes of one image, [q, 32].
        stored: hashes of n training images, [n, 32], at least one.

    Returns:
        Its row, and the number of bits in which it differs.
    """
    # Word by word: each word of all stored hashes is contiguous, which is several times quicker.
    words = np.ascontiguousarray(np.ascontiguousarray(stored).view(np.uint64).T)
    best, distance = 0, 8 * HASH_BYTES + 1
    for query in np.ascontiguousarray(queries).view(np.uint64):
        differing = np.bitwise_count(words ^ query[:, None]).sum(axis=0, dtype=np.uint16)
        row = int(differing.argmin())
        if differing[row] < distance:
            best, distance = row, int(differing[row])
    return best, distance


def _grey(pixels: npt.NDArray[np.uint8]) -> _Floats:
    """Return the luminance (ITU-R BT.601) of blocks of pixels."""
    side = len(pixels) // _POOL
    blocks = pixels.reshape(side, _POOL, side, _POOL, 3).mean(axis=(1, 3))
    grey: _Floats = blocks @ np.array([0.299, 0.587, 0.114])
    return grey


@cache
def _basis(size: int, before: float, after: float) -> _Floats:
    """Return the cosines over the window that an inner 90 % takes up in a cropped image.

    Args:
        size: samples along the axis.
        before: share of the uncropped axis that is missing at its start.
        after: share that is missing at its end.

    Returns:
        Each cosine, integrated over each sample's part of the window, [16, size].
    """
    left = 1 - before - after
    start, end = (MARGIN - before) / left, 1 - (MARGIN - after) / left
    edges = np.clip(np.arange(size + 1) / size, start, end)
    phases = np.pi * (edges - start) / (end - start)
    frequencies = np.arange(1, SIDE)[:, None]
    waves = np.diff(np.sin(frequencies * phases), axis=1) / frequencies
    whole: _Floats = np.concatenate([np.diff(phases)[None], waves])
    return whole


def _orientation(coefficients: _Floats, number: int) -> _Floats:
    """Return the coefficients, [n, 16, 16], of one of the eight orientations of the images."""
    odd = np.where(np.arange(SIDE) % 2, -1.0, 1.0)
    turned = coefficients.transpose(0, 2, 1) if number & 1 else coefficients
    down = odd[:, None] if number & 2 else 1.0
    across = odd if number & 4 else 1.0
    return turned * down * across


def _packed(coefficients: _Floats) -> Hashes:
    signs = coefficients > 0
    # The mean says only how bright the image is.
    signs[:, 0, 0] = False
    return np.packbits(signs.reshape(len(signs), -1), axis=1)
