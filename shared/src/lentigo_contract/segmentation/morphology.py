"""Mathematical morphology with NumPy alone, for images of some hundred pixels a side.

Binary and greyscale operators are maxima and minima over shifted copies (Serra, "Image Analysis and
Mathematical Morphology", 1982). Pixels outside the image never win: they count as the lowest value
in a dilation and as the highest in an erosion. So an object that the border cuts stays cut.

An image is copied once into a margin of such pixels. Every shift is then one contiguous piece of
memory, which NumPy goes through some ten times as fast as through rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
"""One truth a pixel, bool [height, width]."""

Bytes = npt.NDArray[np.uint8]
"""One value a pixel, uint8 [height, width] or [height, width, channels]."""

Dtype = TypeVar("Dtype", np.bool_, np.uint8)

Offsets = Sequence[tuple[int, int]]
"""Steps down and right from a pixel to its neighbours, itself among them."""

Integers = npt.NDArray[np.intp]

_FOUR: Final = ((-1, 0), (1, 0), (0, -1), (0, 1))


@cache
def disc(radius: int, scale: float = 1) -> Offsets:
    """Return the offsets within a radius, in pixels.

    Args:
        radius: in pixels.
        scale: of the image; in one of half the size, half of the radius is meant.
    """
    steps = range(-radius, radius + 1)
    # Half a pixel more makes small discs round: radius 1 is a cross, radius 2 has no single tips.
    limit = max(1, (scale * (radius + 0.5)) ** 2) if radius > 1 else 1
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


def dilate(values: npt.NDArray[Dtype], offsets: Offsets) -> npt.NDArray[Dtype]:
    """Return the maximum over each pixel's neighbours; of a mask, whether any is set."""
    return _extreme(values, tuple(offsets), np.maximum)


def erode(values: npt.NDArray[Dtype], offsets: Offsets) -> npt.NDArray[Dtype]:
    """Return the minimum over each pixel's neighbours; of a mask, whether all are set."""
    return _extreme(values, tuple(offsets), np.minimum)


def close(values: npt.NDArray[Dtype], offsets: Offsets) -> npt.NDArray[Dtype]:
    """Dilate, then erode: fill what is darker and narrower than the neighbourhood."""
    return erode(dilate(values, offsets), [(-y, -x) for y, x in offsets])


def open_(mask: Mask, offsets: Offsets) -> Mask:
    """Erode, then dilate: remove what is narrower than the neighbourhood."""
    return dilate(erode(mask, offsets), offsets)


def close_along_lines(pixels: Bytes, length: int, directions: Offsets) -> Bytes:
    """Return the largest of several closings, each along lines in one direction.

    Args:
        pixels: uint8 [height, width] or [height, width, channels].
        length: of the lines in pixels, odd.
        directions: steps down and right from one pixel of a line to the next.
    """
    reach = length // 2
    low = _Padded.of(pixels, reach, reach, np.maximum)
    high = _Padded.of(pixels, reach, reach, np.minimum)
    largest = low.rows.copy()
    closed = np.empty_like(largest)
    for direction in directions:
        offsets = line(length, *direction)
        _win(high.rows, low, offsets, np.maximum)
        high.clear_margin()
        _win(closed, high, offsets, np.minimum)
        np.maximum(largest, closed, out=largest)
    return low.without_margin(largest)


@dataclass(frozen=True, slots=True)
class _Padded(Generic[Dtype]):
    """An image in a margin of pixels that never win.

    Attributes:
        cells: of margin and image, row after row, [n].
        shape: of the image.
        stride: cells from one row to the next.
        step: cells from one pixel to the next, one for each channel.
        first: the image's first cell.
        neutral: what the margin holds.
    """

    cells: npt.NDArray[Dtype]
    shape: tuple[int, ...]
    stride: int
    step: int
    first: int
    neutral: int

    @classmethod
    def of(
        cls, values: npt.NDArray[Dtype], down: int, right: int, winner: np.ufunc
    ) -> "_Padded[Dtype]":
        """Pad an image by so many pixels; a row's margin on the right is the next one's left."""
        height, width, *channels = values.shape
        step = channels[0] if channels else 1
        stride = (width + right) * step
        largest = 1 if values.dtype == np.bool_ else 255
        neutral = 0 if winner is np.maximum else largest
        cells = np.empty((height + 2 * down) * stride + 2 * right * step, values.dtype)
        cells.fill(neutral)
        padded = cls(cells, values.shape, stride, step, down * stride + right * step, neutral)
        rows = padded.rows.reshape(height, stride)
        rows[:, : width * step] = values.reshape(height, width * step)
        return padded

    @property
    def rows(self) -> npt.NDArray[Dtype]:
        """The cells of the image's rows, each with its margin on the right, [n]."""
        return self.moved(0, 0)

    def moved(self, down: int, right: int) -> npt.NDArray[Dtype]:
        """Return the cells that lie so many pixels away from those of `rows`, [n]."""
        first = self.first + down * self.stride + right * self.step
        return self.cells[first : first + self.shape[0] * self.stride]

    def clear_margin(self) -> None:
        """Make the margin neutral again, after something was written to the rows."""
        self.rows.reshape(-1, self.stride)[:, self.shape[1] * self.step :] = self.neutral

    def without_margin(self, rows: npt.NDArray[Dtype]) -> npt.NDArray[Dtype]:
        """Return the image of rows such as `rows` has."""
        image = rows.reshape(-1, self.stride)[:, : self.shape[1] * self.step]
        return np.ascontiguousarray(image).reshape(self.shape)


def _extreme(
    values: npt.NDArray[Dtype], offsets: tuple[tuple[int, int], ...], winner: np.ufunc
) -> npt.NDArray[Dtype]:
    down, right = _reach_of(offsets)
    padded = _Padded.of(values, down, right, winner)
    result = np.empty_like(padded.rows)
    rows = _rows_of(offsets)
    if rows is None:
        _win(result, padded, offsets, winner)
        return padded.without_margin(result)
    # A disc is a row of every width, moved up and down: 16 steps instead of 96 for a radius of 5.
    row = _Padded.of(values, down, right, winner)
    result[...] = row.rows
    half = 0
    for y, reach in rows:
        while half < reach:
            half += 1
            winner(row.rows, padded.moved(0, half), out=row.rows)
            winner(row.rows, padded.moved(0, -half), out=row.rows)
        winner(result, row.moved(y, 0), out=result)
    return padded.without_margin(result)


@cache
def _reach_of(offsets: tuple[tuple[int, int], ...]) -> tuple[int, int]:
    """Return how far offsets reach down or up, and to one of the sides."""
    return max(abs(down) for down, _ in offsets), max(abs(right) for _, right in offsets)


@cache
def _rows_of(offsets: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...] | None:
    """Return each row and how far it reaches to both sides, the shortest first.

    None unless all rows do so without a gap, and there is one through the pixel.
    """
    rows: dict[int, set[int]] = {}
    for y, x in offsets:
        rows.setdefault(y, set()).add(x)
    if 0 not in rows or any(row != set(range(-max(row), max(row) + 1)) for row in rows.values()):
        return None
    return tuple(sorted(((y, max(row)) for y, row in rows.items()), key=lambda row: row[1]))


def _win(
    result: npt.NDArray[Dtype], padded: _Padded[Dtype], offsets: Offsets, winner: np.ufunc
) -> None:
    """Write the winner among each pixel's neighbours to rows such as `_Padded.rows`."""
    (down, right), *others = offsets
    result[...] = padded.moved(down, right)
    for down, right in others:
        winner(result, padded.moved(down, right), out=result)


def brightest(pixels: Bytes) -> Bytes:
    """Return the largest of the three channels of each pixel, uint8 [height, width]."""
    # A maximum along an axis of three takes ten times as long.
    red, green, blue = np.moveaxis(pixels, -1, 0)
    largest: Bytes = np.maximum(np.maximum(red, green), blue)
    return largest


def outline(mask: Mask) -> Mask:
    """Return the pixels of a mask that have a neighbour outside it, or lie on the border."""
    inner = mask.copy()
    inner[[0, -1], :] = False
    inner[:, [0, -1]] = False
    return mask & ~(inner & erode(mask, ((0, 0), *_FOUR)))
