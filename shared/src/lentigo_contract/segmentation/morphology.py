"""Mathematical morphology with NumPy alone, for images of some hundred pixels a side.

Binary and greyscale operators are maxima and minima over shifted copies (Serra, "Image Analysis and
Mathematical Morphology", 1982). Pixels outside the image never win: they count as the lowest value
in a dilation and as the highest in an erosion. So an object that the border cuts stays cut.
"""

from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
"""One truth a pixel, bool [height, width]."""

Bytes = npt.NDArray[np.uint8]
"""One value a pixel, uint8 [height, width] or [height, width, channels]."""

Offsets = Sequence[tuple[int, int]]
"""Steps down and right from a pixel to its neighbours, itself among them."""

_FOUR: Final = ((-1, 0), (1, 0), (0, -1), (0, 1))


@cache
def disc(radius: int) -> Offsets:
    """Return the offsets within a radius, in pixels."""
    steps = range(-radius, radius + 1)
    # Half a pixel more makes small discs round: radius 1 is a cross, radius 2 has no single tips.
    limit = (radius + 0.5) ** 2 if radius > 1 else radius**2
    return tuple((y, x) for y in steps for x in steps if y * y + x * x <= limit)


def line(length: int, down: float, right: float) -> Offsets:
    """Return the offsets of a straight line through the pixel.

    Args:
        length: in pixels, odd.
        down: step downwards from one pixel of the line to the next, -1 to 1.
        right: the same to the right.
    """
    half = length // 2
    return tuple((round(step * down), round(step * right)) for step in range(-half, half + 1))


def dilate(values: npt.NDArray[np.generic], offsets: Offsets) -> npt.NDArray[np.generic]:
    """Return the maximum over each pixel's neighbours; of a mask, whether any is set."""
    return _extreme(values, offsets, np.maximum)


def erode(values: npt.NDArray[np.generic], offsets: Offsets) -> npt.NDArray[np.generic]:
    """Return the minimum over each pixel's neighbours; of a mask, whether all are set."""
    return _extreme(values, offsets, np.minimum)


def close(values: npt.NDArray[np.generic], offsets: Offsets) -> npt.NDArray[np.generic]:
    """Dilate, then erode: fill what is darker and narrower than the neighbourhood."""
    return erode(dilate(values, offsets), [(-y, -x) for y, x in offsets])


def open_(mask: Mask, offsets: Offsets) -> Mask:
    """Erode, then dilate: remove what is narrower than the neighbourhood."""
    return dilate(erode(mask, offsets), [(-y, -x) for y, x in offsets]).astype(np.bool_)


def _extreme(
    values: npt.NDArray[np.generic], offsets: Offsets, winner: np.ufunc
) -> npt.NDArray[np.generic]:
    rows = _rows_of(tuple(offsets))
    result = values.copy()
    if rows is None:
        for y, x in offsets:
            _win(result, values, y, x, winner)
        return result
    # A disc is a row of every width, moved up and down: 16 steps instead of 96 for a radius of 5.
    row, half = values.copy(), 0
    for wanted, y in sorted((reach, y) for y, reach in rows):
        while half < wanted:
            half += 1
            _win(row, values, 0, half, winner)
            _win(row, values, 0, -half, winner)
        _win(result, row, y, 0, winner)
    return result


@cache
def _rows_of(offsets: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...] | None:
    """Return how far each row reaches to both sides; None unless all do so without a gap."""
    rows: dict[int, set[int]] = {}
    for y, x in offsets:
        rows.setdefault(y, set()).add(x)
    if any(row != set(range(-max(row), max(row) + 1)) for row in rows.values()):
        return None
    return tuple((y, max(row)) for y, row in rows.items())


def _win(
    result: npt.NDArray[np.generic],
    values: npt.NDArray[np.generic],
    down: int,
    right: int,
    winner: np.ufunc,
) -> None:
    """Let the value that many steps down and right win over each pixel's, where there is one."""
    height, width = values.shape[:2]
    if abs(down) >= height or abs(right) >= width:
        return
    to = (
        slice(max(0, -down), height - max(0, down)),
        slice(max(0, -right), width - max(0, right)),
    )
    of = (
        slice(max(0, down), height + min(0, down)),
        slice(max(0, right), width + min(0, right)),
    )
    winner(result[to], values[of], out=result[to])


def brightest(pixels: Bytes) -> Bytes:
    """Return the largest of the three channels of each pixel, uint8 [height, width]."""
    # A maximum along an axis of three takes ten times as long.
    red, green, blue = np.moveaxis(pixels, -1, 0)
    largest: Bytes = np.maximum(np.maximum(red, green), blue)
    return largest


def label(mask: Mask) -> tuple[npt.NDArray[np.int32], int]:
    """Number the connected regions of a mask; pixels are neighbours along an edge.

    Runs of each row are joined with the runs of the next that they overlap (Rosenfeld and Pfaltz,
    "Sequential Operations in Digital Picture Processing", JACM 1966), by repeated minima over
    whole arrays.

    Returns:
        Numbers from 1 in order of their first pixel, 0 outside, int32 [height, width]; and how
        many there are.
    """
    height, width = mask.shape
    padded = np.zeros((height, width + 2), np.int8)
    padded[:, 1:-1] = mask
    change = np.diff(padded, axis=1)
    rows, starts = np.nonzero(change == 1)
    _, ends = np.nonzero(change == -1)
    count = len(rows)
    if not count:
        return np.zeros(mask.shape, np.int32), 0
    one, other = _overlapping(rows, starts, ends, width)
    root = np.arange(count)
    while True:
        # Every run takes the smallest number that it or a neighbour has, and then that one's own.
        least = np.minimum(root[one], root[other])
        best = root.copy()
        np.minimum.at(best, root[one], least)
        np.minimum.at(best, root[other], least)
        best = best[best]
        best = best[root]
        if np.array_equal(best, root):
            break
        root = best
    _, numbers = np.unique(root, return_inverse=True)
    labels = np.zeros(mask.shape, np.int32)
    labels[mask] = np.repeat(numbers + 1, ends - starts)
    return labels, int(numbers.max()) + 1


def boxes(labels: npt.NDArray[np.int32], count: int) -> list[tuple[int, int, int, int]]:
    """Return the first row and column of each numbered region, and those behind its last."""
    rows, columns = np.nonzero(labels)
    numbers = labels[rows, columns] - 1
    ends = []
    for places, size in zip((rows, columns), labels.shape, strict=True):
        first, last = np.full(count, size), np.zeros(count, np.intp)
        np.minimum.at(first, numbers, places)
        np.maximum.at(last, numbers, places + 1)
        ends.append((first.tolist(), last.tolist()))
    (top, bottom), (left, right) = ends
    return list(zip(top, left, bottom, right, strict=True))


def _overlapping(
    rows: npt.NDArray[np.intp],
    starts: npt.NDArray[np.intp],
    ends: npt.NDArray[np.intp],
    width: int,
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the pairs of runs in neighbouring rows that share a column."""
    # Runs are in order of row and column, so those of the next row that overlap are neighbours.
    stride = width + 1
    begin, end = rows * stride + starts, rows * stride + ends
    first = np.searchsorted(end, begin + stride, side="right")
    last = np.searchsorted(begin, end + stride, side="left")
    counts = np.maximum(last - first, 0)
    one = np.repeat(np.arange(len(rows)), counts)
    shift = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return one, np.repeat(first, counts) + shift


def fill_holes(mask: Mask) -> Mask:
    """Set every pixel that the mask encloses, so that it has no path to the image's border."""
    labels, count = label(~mask)
    outside = np.zeros(count + 1, np.bool_)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        outside[edge] = True
    outside[0] = False
    return ~outside[labels]


def outline(mask: Mask) -> Mask:
    """Return the pixels of a mask that have a neighbour outside it, or lie on the border."""
    inner = mask.copy()
    inner[[0, -1], :] = False
    inner[:, [0, -1]] = False
    return mask & ~(inner & erode(mask, ((0, 0), *_FOUR)).astype(np.bool_))
