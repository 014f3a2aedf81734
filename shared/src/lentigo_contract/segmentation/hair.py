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
import numpy.typing as npt

from lentigo_contract.segmentation.morphology import (
    Bytes,
    Mask,
    boxes,
    brightest,
    close,
    dilate,
    disc,
    label,
    line,
)

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
        pixels: uint8 [height, width, 3], sRGB; of about 300 pixels a side.
    """
    hairs = find_hairs(pixels)
    if not hairs.any():
        return HairRemoval(pixels, hairs, True)
    wide = dilate(hairs, disc(1)).astype(np.bool_)
    if wide.mean() > _MOST:
        return HairRemoval(pixels, hairs, False)
    return HairRemoval(_smoothed(_replaced(pixels, wide), wide), hairs, True)


def find_hairs(pixels: Bytes) -> Mask:
    """Return which pixels are dark, thin and long."""
    closed = pixels
    for down, right in DIRECTIONS:
        closed = np.maximum(closed, close(pixels, line(_CLOSING, down, right)).astype(np.uint8))
    # Lee et al. join the masks of the three channels.
    candidates: Mask = brightest(closed - pixels) > _THRESHOLD
    if not candidates.any():
        return candidates
    runs = np.stack([_run_lengths(candidates, *direction) for direction in DIRECTIONS])
    along = runs.max(axis=0)
    across = np.take_along_axis(runs, (runs.argmax(axis=0)[None] + 2) % 4, axis=0)[0]
    straight = (along >= _LEAST_ALONG) & (across <= _MOST_ACROSS)
    hairs: Mask = candidates & (straight | _long_and_narrow(candidates))
    return hairs


def _long_and_narrow(candidates: Mask) -> Mask:
    """Return the regions that are long and, for their length, have few pixels: bent hairs."""
    labels, count = label(candidates)
    top, left, bottom, right = np.array(boxes(labels, count)).reshape(-1, 4).T
    length = np.hypot(bottom - top, right - left)
    area = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    narrow = (length >= _LEAST_ALONG) & (area <= _MOST_AREA * length)
    hairs: Mask = np.concatenate([[False], narrow])[labels]
    return hairs


def _run_lengths(mask: Mask, down: int, right: int) -> npt.NDArray[np.int32]:
    """Return the length of the straight run of set pixels through each pixel, 0 where none is."""
    if down == 0:
        return _runs_along_rows(mask)
    if right == 0:
        return _runs_along_rows(mask.T).T
    if right < 0:
        return _run_lengths(mask[:, ::-1], down, -right)[:, ::-1]
    # Shifted by one pixel a row to the left, a diagonal is a column.
    height, width = mask.shape
    padded = np.zeros((height, width + 2 * height), np.bool_)
    padded[:, height : height + width] = mask
    skewed = np.pad(padded.ravel(), (0, height)).reshape(height, -1)
    runs = _runs_along_rows(np.ascontiguousarray(skewed.T)).T
    return runs.ravel()[: padded.size].reshape(padded.shape)[:, height : height + width]


def _runs_along_rows(mask: Mask) -> npt.NDArray[np.int32]:
    padded = np.zeros((mask.shape[0], mask.shape[1] + 2), np.int8)
    padded[:, 1:-1] = mask
    change = np.diff(padded, axis=1).ravel()
    starts, ends = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
    runs = np.zeros(mask.shape, np.int32)
    runs[mask] = np.repeat(ends - starts, ends - starts)
    return runs


def _replaced(pixels: Bytes, hairs: Mask) -> Bytes:
    """Interpolate across each hair, in the direction in which it is narrowest."""
    rows, columns = np.nonzero(hairs)
    best = np.full(len(rows), np.inf)
    values = pixels[rows, columns].astype(np.float32)
    for down, right in DIRECTIONS:
        ends = [_skin_from(hairs, rows, columns, sign * down, sign * right) for sign in (-1, 1)]
        (before, one), (after, other) = ends
        # A diagonal step is longer.
        width = (before + after) * np.hypot(down, right)
        better = (before > 0) & (after > 0) & (width < best)
        share = (before / np.maximum(before + after, 1))[:, None]
        mixed = pixels[one] * (1 - share) + pixels[other] * share
        values[better] = mixed[better]
        best[better] = width[better]
    result = pixels.copy()
    result[rows, columns] = np.rint(values).astype(np.uint8)
    return result


def _skin_from(
    hairs: Mask,
    rows: npt.NDArray[np.intp],
    columns: npt.NDArray[np.intp],
    down: int,
    right: int,
) -> tuple[npt.NDArray[np.intp], tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Return how many steps away the first pixel without hair lies, 0 if none; and where."""
    height, width = hairs.shape
    steps = np.zeros(len(rows), np.intp)
    for step in range(1, _REACH + 1):
        y, x = rows + step * down, columns + step * right
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width) & (steps == 0)
        inside[inside] = ~hairs[y[inside], x[inside]]
        steps[inside] = step
    beyond = np.where(steps > 0, steps + _MARGIN, 0)
    y = np.clip(rows + beyond * down, 0, height - 1)
    x = np.clip(columns + beyond * right, 0, width - 1)
    # Beyond the margin may lie the next hair, or the end of the image: then without a margin.
    bad = hairs[y, x]
    y = np.where(bad, np.clip(rows + steps * down, 0, height - 1), y)
    x = np.where(bad, np.clip(columns + steps * right, 0, width - 1), x)
    return steps, (y, x)


def _smoothed(pixels: Bytes, hairs: Mask) -> Bytes:
    """Replace hairs and their neighbours by the median of the 5 by 5 pixels around each."""
    rows, columns = np.nonzero(dilate(hairs, disc(1)))
    padded = np.pad(pixels, ((2, 2), (2, 2), (0, 0)), mode="edge")
    around = [padded[rows + y, columns + x] for y in range(5) for x in range(5)]
    result = pixels.copy()
    result[rows, columns] = np.partition(np.stack(around), 12, axis=0)[12]
    return result
