"""Copies of an image are recognised, whatever was done to the file: by 256 bits, and by colour.

A copy may have another size or JPEG quality, be turned by quarter turns, mirrored, or have lost up
to 5 % at each side. The bits are the signs of the image's lowest 16 by 16 cosine coefficients
(after Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010):

- A quarter turn or a mirror exchanges coefficients or changes their signs, so one transform gives
  all eight orientations.
- What is kept of a training image is the hash of its inner 90 %, which a slightly cropped copy
  still shows. An image to check is hashed in several windows, one of which has that content.

- Small dark nevi in the middle of plain skin differ in few bits. So an image whose bits are near,
  but not very near, is a copy only if its colours are those of the training image too: the mean
  of each cell of a coarse grid, in the window and orientation that the bits found.

Decision 21 has what it finds and what it confuses.
"""

from dataclasses import dataclass
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

SURE: Final = 20
"""Bits up to which it is a copy whatever its colours, which somebody may have normalised."""

GRID: Final = 3
"""Cells a side, of which the mean colour is kept."""

COLOUR_LIMIT: Final = 6.0
"""Mean difference of the cells' colours that a copy may have, in 0 to 255."""

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

Colours = npt.NDArray[np.uint8]
"""Mean red, green and blue of the cells of the inner 90 %, [n, 3, 3, 3]: down, across, channel."""

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """What is kept of n training images to recognise copies by.

    Attributes:
        hashes: see `image_hash`, [n, 32].
        colours: see `cell_colours`, [n, 3, 3, 3]; None where an older release kept none.
    """

    hashes: Hashes
    colours: Colours | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.hashes)


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


def cell_colours(pixels: npt.NDArray[np.uint8]) -> Colours:
    """Return the mean colours of the cells of an image's inner 90 %, [3, 3, 3].

    Args:
        pixels: RGB, uint8 [side, side, 3], with an even side.
    """
    colours: Colours = np.round(_cells(_pooled(pixels), _CROPS[0], _CROPS[0])).astype(np.uint8)
    return colours


def find_copied(pixels: npt.NDArray[np.uint8], stored: Fingerprints) -> int | None:
    """Return the row of the stored image that this one is a copy of, or None.

    Args:
        pixels: RGB, uint8 [side, side, 3], with an even side.
        stored: of n images.
    """
    pooled = None
    for bits, row, query in _near(hashes_to_compare(pixels), stored.hashes):
        if bits <= SURE or stored.colours is None:
            return row
        pooled = _pooled(pixels) if pooled is None else pooled
        if _colour_difference(pooled, query, stored.colours[row]) <= COLOUR_LIMIT:
            return row
    return None


def _near(queries: Hashes, stored: Hashes) -> list[tuple[int, int, int]]:
    """Find the stored hashes that differ from a query in at most `LIMIT` bits.

    Returns:
        Bits, row and number of the query: for each such row the nearest query, nearest first.
    """
    # Word by word: each word of all stored hashes is contiguous, which is several times quicker.
    words = np.ascontiguousarray(np.ascontiguousarray(stored).view(np.uint64).T)
    found: dict[int, tuple[int, int]] = {}
    for number, query in enumerate(np.ascontiguousarray(queries).view(np.uint64)):
        differing = np.bitwise_count(words ^ query[:, None]).sum(axis=0, dtype=np.uint16)
        for row in np.flatnonzero(differing <= LIMIT).tolist():
            nearest = found.get(row)
            if nearest is None or differing[row] < nearest[0]:
                found[row] = int(differing[row]), number
    return sorted((bits, row, number) for row, (bits, number) in found.items())


def _colour_difference(pooled: _Floats, query: int, kept: Colours) -> float:
    """Compare the cells of an image, as one of its queries sees it, with those of a stored one."""
    orientation, window = divmod(query, len(_CROPS) ** 2)
    down, across = divmod(window, len(_CROPS))
    cells = _cells(pooled, _CROPS[down], _CROPS[across])
    turned = cells.transpose(1, 0, 2) if orientation & 1 else cells
    turned = turned[::-1] if orientation & 2 else turned
    turned = turned[:, ::-1] if orientation & 4 else turned
    return float(np.abs(turned - kept).mean())


def _grey(pixels: npt.NDArray[np.uint8]) -> _Floats:
    """Return the luminance (ITU-R BT.601) of blocks of pixels."""
    grey: _Floats = _pooled(pixels) @ np.array([0.299, 0.587, 0.114])
    return grey


def _pooled(pixels: npt.NDArray[np.uint8]) -> _Floats:
    side = len(pixels) // _POOL
    pooled: _Floats = pixels.reshape(side, _POOL, side, _POOL, 3).mean(axis=(1, 3))
    return pooled


def _cells(pooled: _Floats, down: tuple[float, float], across: tuple[float, float]) -> _Floats:
    """Return the mean colours of the cells of a window, [3, 3, 3]."""
    size = len(pooled)
    cells: _Floats = np.einsum(
        "gi,ijc,hj->ghc", _shares(size, *down), pooled, _shares(size, *across)
    )
    return cells


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
    phases = np.pi * _edges(size, before, after)
    frequencies = np.arange(1, SIDE)[:, None]
    waves = np.diff(np.sin(frequencies * phases), axis=1) / frequencies
    whole: _Floats = np.concatenate([np.diff(phases)[None], waves])
    return whole


@cache
def _shares(size: int, before: float, after: float) -> _Floats:
    """Return how much of each cell of that window is in each sample, [3, size]; rows sum to 1."""
    edges = GRID * _edges(size, before, after)
    borders = np.arange(GRID)[:, None]
    shares: _Floats = np.diff(np.clip(edges, borders, borders + 1), axis=1)
    return shares


def _edges(size: int, before: float, after: float) -> _Floats:
    """Return where in the window the edges of the samples are, 0 to 1, [size + 1]."""
    left = 1 - before - after
    start, end = (MARGIN - before) / left, 1 - (MARGIN - after) / left
    edges: _Floats = (np.clip(np.arange(size + 1) / size, start, end) - start) / (end - start)
    return edges


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
