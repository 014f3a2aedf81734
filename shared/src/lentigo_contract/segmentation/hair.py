"""Remove dark hairs as DullRazor does.

Lee, Ng, Gallagher, Coldman and McLean, "DullRazor: A software approach to hair removal from
images", Computers in Biology and Medicine 27:533-543, 1997. In its three steps:

1. **Find**: the generalised greyscale closing of each channel, the largest over lines in several
   directions; where it differs from the channel, something dark and thin may lie.
2. **Verify and replace**: such a pixel is hair if the longest straight run through it is long and
   the runs in the other directions are short. It is replaced by bilinear interpolation between two
   pixels beside the hair, on the line across it.
3. **Smooth**: an adaptive median over the replaced pixels and their neighbours.

Lee et al. work on images of about 512 by 480 pixels, with lines of 11 pixels, in three directions
(0, 45 and 90 degrees), runs of more than 50 pixels along and fewer than 10 across. We scale the
lengths to images of 300 pixels, and add two things: 135 degrees, without which hairs in that
direction stay; and bent hairs, which have no long straight run, by the extent and area of their
region.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from lentigo_contract.segmentation.connected_regions import regions
from lentigo_contract.segmentation.morphology import (
    Bytes,
    Integers,
    Mask,
    brightest,
    close_along_lines,
    dilate,
    disc,
)
from lentigo_contract.segmentation.size import odd_length, scale_of

DIRECTIONS: Final = ((0, 1), (1, 1), (1, 0), (1, -1))
"""Steps down and right: along a row, both diagonals, along a column."""

_THRESHOLD: Final = 24
"""Difference of closing and channel, of 255, from which a pixel may be hair; chosen by eye."""

_CLOSING: Final = 9
"""Length of the lines of the closing, in pixels: a little more than a hair is wide."""

_LEAST_ALONG: Final = 20
"""A hair's longest straight run has at least these pixels."""

_MOST_ACROSS: Final = 9
"""The run across it has at most these."""

_MOST_AREA: Final = 4.5
"""Pixels of a bent hair, or of a few that cross, for each pixel of its extent."""

_REACH: Final = 14
"""How far to look for skin beside a hair, in pixels."""

_MARGIN: Final = 2
"""Skin this close to a hair has its colour, by blur and by JPEG."""

_MOST: Final = 0.35
"""Share of the image from which no more pixels are replaced: what is left would be invented."""


@dataclass(frozen=True, slots=True)
class HairRemoval:
    """An image without its hairs.

    Attributes:
        pixels: uint8 [height, width, 3].
        hairs: which pixels were taken for hair, bool [height, width].
        replaced: whether they were replaced; not where hair covers over a third of the image.
    """

    pixels: Bytes
    hairs: Mask
    replaced: bool


def remove_hairs(pixels: Bytes) -> HairRemoval:
    """Find dark hairs and replace them by what lies beside them.

    Args:
        pixels: uint8 [height, width, 3], sRGB; of at most about 300 pixels a side.
    """
    hairs = find_hairs(pixels)
    if not hairs.any():
        return HairRemoval(pixels, hairs, True)
    wide = dilate(hairs, disc(1))
    if wide.mean() > _MOST:
        return HairRemoval(pixels, hairs, False)
    return HairRemoval(_smoothed(_replaced(pixels, wide), wide), hairs, True)


def find_hairs(pixels: Bytes) -> Mask:
    """Return which pixels are dark, thin and long."""
    scale = scale_of(pixels.shape)
    closed = close_along_lines(pixels, odd_length(scale * _CLOSING), DIRECTIONS)
    # Lee et al. join the masks of the three channels.
    candidates: Mask = brightest(closed - pixels) > _THRESHOLD
    places = np.flatnonzero(candidates)
    if not len(places):
        return candidates
    rows, columns = np.divmod(places, candidates.shape[1])
    runs = np.stack([_run(rows, columns, direction)[2] for direction in DIRECTIONS])
    along = runs.max(axis=0)
    across = runs[(runs.argmax(axis=0) + 2) % 4, np.arange(len(places))]
    straight = (along >= scale * _LEAST_ALONG) & (across <= scale * _MOST_ACROSS)
    hairs = np.zeros_like(candidates)
    hairs.ravel()[places] = straight | _long_and_narrow(candidates, scale)
    return hairs


def _long_and_narrow(candidates: Mask, scale: float) -> Mask:
    """Return whether the region of each candidate is long and has few pixels: bent hairs, [n]."""
    found = regions(candidates)
    top, left, bottom, right = found.boxes
    length = np.hypot(bottom - top, right - left)
    narrow = found.areas <= scale * _MOST_AREA * length
    return found.of_pixels((length >= scale * _LEAST_ALONG) & narrow)


def _run(
    rows: Integers, columns: Integers, direction: tuple[int, int]
) -> tuple[Integers, Integers, Integers]:
    """Follow a straight run of set pixels through each of them, to both sides.

    Args:
        rows: of the set pixels, in the order of the image, [n].
        columns: likewise.
        direction: step down and right, one of `DIRECTIONS`.

    Returns:
        Steps to the first pixel that is not set, backwards and onwards, and the run's length, each
        [n].
    """
    down, right = direction
    # Pixels of one straight line share a number; along it, one follows the other.
    of_line = columns * down - rows * right if down else rows
    along = rows if down else columns
    key = (of_line - of_line.min()) * (along.max() + 2) + along
    order = np.argsort(key) if down else np.arange(len(key))
    breaks = np.flatnonzero(np.diff(key[order]) != 1) + 1
    edges = np.concatenate([[0], breaks, [len(key)]])
    lengths = np.diff(edges)
    place = np.arange(len(key))
    steps = np.empty((3, len(key)), np.intp)
    steps[0, order] = place - np.repeat(edges[:-1], lengths) + 1
    steps[1, order] = np.repeat(edges[1:], lengths) - place
    steps[2, order] = np.repeat(lengths, lengths)
    return steps[0], steps[1], steps[2]


def _replaced(pixels: Bytes, hairs: Mask) -> Bytes:
    """Interpolate across each hair, in the direction in which it is narrowest."""
    height, width = hairs.shape
    rows, columns = np.divmod(np.flatnonzero(hairs), width)
    reach = scale_of(hairs.shape) * _REACH
    befores, afters, widths = [], [], []
    for down, right in DIRECTIONS:
        before, after, _ = _run(rows, columns, (down, right))
        reached = (before <= reach) & (after <= reach)
        for sign, steps in ((-1, before), (1, after)):
            y, x = rows + sign * steps * down, columns + sign * steps * right
            reached &= (y >= 0) & (y < height) & (x >= 0) & (x < width)
        befores.append(before)
        afters.append(after)
        # A diagonal step is longer.
        widths.append(np.where(reached, (before + after) * np.hypot(down, right), np.inf))
    every = np.arange(len(rows))
    narrowest = np.argmin(widths, axis=0)
    found = np.isfinite(np.stack(widths)[narrowest, every])
    rows, columns, narrowest, every = rows[found], columns[found], narrowest[found], every[found]
    before, after = np.stack(befores)[narrowest, every], np.stack(afters)[narrowest, every]
    down, right = np.array(DIRECTIONS)[narrowest].T
    one = _skin_beyond(pixels, hairs, (rows, columns), before, (-down, -right))
    other = _skin_beyond(pixels, hairs, (rows, columns), after, (down, right))
    share = (before / (before + after))[:, None]
    result = pixels.copy()
    # In single precision, a half is a half whatever was divided.
    result[rows, columns] = np.rint((one * (1 - share) + other * share).astype(np.float32))
    return result


def _skin_beyond(
    pixels: Bytes,
    hairs: Mask,
    places: tuple[Integers, Integers],
    steps: Integers,
    direction: tuple[Integers, Integers],
) -> Bytes:
    """Return the colour a little behind the first pixel without hair, [n, 3].

    Args:
        pixels: of the image.
        hairs: its hairs.
        places: rows and columns of pixels of hair, [n] each.
        steps: from each to the first pixel without hair, which is in the image.
        direction: of the steps, down and right.
    """
    margin = max(1, round(scale_of(hairs.shape) * _MARGIN))
    last = tuple(size - 1 for size in hairs.shape)
    y, x = (
        np.clip(place + (steps + margin) * way, 0, size)
        for place, way, size in zip(places, direction, last, strict=True)
    )
    # Beyond the margin may lie the next hair, or the end of the image: then without a margin.
    bad = hairs[y, x]
    y, x = (
        np.where(bad, place + steps * way, far)
        for place, way, far in zip(places, direction, (y, x), strict=True)
    )
    colours: Bytes = pixels[y, x]
    return colours


def _smoothed(pixels: Bytes, hairs: Mask) -> Bytes:
    """Replace hairs and their neighbours by the median of the 5 by 5 pixels around each."""
    height, width = hairs.shape
    places = np.flatnonzero(dilate(hairs, disc(1)))
    # Four bytes a pixel are moved as one number.
    padded = np.zeros((height + 4, width + 4, 4), np.uint8)
    padded[..., :3] = np.pad(pixels, ((2, 2), (2, 2), (0, 0)), mode="edge")
    whole = padded.view(np.uint32).ravel()
    corner = places + places // width * 4
    around = np.stack([whole[corner + y * (width + 4) + x] for y in range(5) for x in range(5)])
    result = pixels.copy()
    result.reshape(-1, 3)[places] = _median(around.view(np.uint8)).reshape(-1, 4)[:, :3]
    return result


def _median(values: Bytes) -> Bytes:
    """Return the median along the first axis, of an odd number of values, [n, m] to [m].

    Bit by bit: as many comparisons as bits take a third of the time of sorting.
    """
    half = len(values) // 2
    found = np.zeros(values.shape[1], np.uint8)
    for bit in (128, 64, 32, 16, 8, 4, 2, 1):
        higher = found + np.uint8(bit)
        smaller = np.add.reduce(values < higher, axis=0, dtype=np.uint8)
        found = np.where(smaller <= half, higher, found)
    return found
