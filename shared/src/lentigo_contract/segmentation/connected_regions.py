"""Connected regions of a mask, with NumPy alone: areas, boxes, sums, and enclosed holes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lentigo_contract.segmentation.morphology import Integers, Mask


@dataclass(frozen=True, slots=True)
class Regions:
    """The connected regions of a mask, as runs of pixels in its rows.

    Attributes:
        shape: of the mask.
        rows: of each run, in the order of its first pixel, [n].
        starts: its first column.
        ends: the column behind its last.
        numbers: of its region, from 0 in order of their first pixel.
        count: of regions.
    """

    shape: tuple[int, int]
    rows: Integers
    starts: Integers
    ends: Integers
    numbers: Integers
    count: int

    @property
    def areas(self) -> Integers:
        """Pixels of each region, [count]."""
        counts = np.bincount(self.numbers, self.ends - self.starts, minlength=self.count)
        return counts.astype(np.intp)

    @property
    def boxes(self) -> Integers:
        """First row and column of each region, and those behind its last, [4, count]."""
        first = np.full((2, self.count), max(self.shape), np.intp)
        last = np.zeros((2, self.count), np.intp)
        for axis, (begin, end) in enumerate(((self.rows, self.rows + 1), (self.starts, self.ends))):
            np.minimum.at(first[axis], self.numbers, begin)
            np.maximum.at(last[axis], self.numbers, end)
        return np.concatenate([first, last])

    @property
    def at_border(self) -> Mask:
        """Which regions reach the border of the image, [count]."""
        height, width = self.shape
        top, left, bottom, right = self.boxes
        outside: Mask = (top == 0) | (left == 0) | (bottom == height) | (right == width)
        return outside

    def sums(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Return the sum of values, [height, width], over each region, [count]."""
        before = np.concatenate([[0.0], np.cumsum(values.ravel(), dtype=np.float64)])
        begin = self.rows * self.shape[1]
        of_runs = before[begin + self.ends] - before[begin + self.starts]
        return np.bincount(self.numbers, of_runs, minlength=self.count).astype(np.float64)

    def of_pixels(self, values: Mask) -> Mask:
        """Return each region's value for each of its pixels, in their order in the image."""
        return np.repeat(values[self.numbers], self.ends - self.starts)

    def mask_of(self, chosen: Mask) -> Mask:
        """Return the pixels of the chosen regions, bool [height, width]."""
        height, width = self.shape
        runs = np.flatnonzero(chosen[self.numbers])
        change = np.zeros(height * width + 1, np.int8)
        begin = self.rows[runs] * width
        change[begin + self.starts[runs]] = 1
        # A run may begin where the one of the row above ends.
        change[begin + self.ends[runs]] -= 1
        mask: Mask = np.cumsum(change[:-1], dtype=np.int8).view(np.bool_).reshape(height, width)
        return mask


def regions(mask: Mask) -> Regions:
    """Find the connected regions of a mask; pixels are neighbours along an edge.

    Runs of each row are joined with the runs of the next that they overlap (Rosenfeld and Pfaltz,
    "Sequential Operations in Digital Picture Processing", JACM 1966), by repeated minima over
    whole arrays.
    """
    height, width = mask.shape
    stride = width + 1
    cells = np.zeros(height * stride + 1, np.bool_)
    cells[1:].reshape(height, stride)[:, :width] = mask
    change = np.flatnonzero(cells[1:] != cells[:-1])
    begin, end = change[::2], change[1::2]
    one, other = _overlapping(begin, end, stride)
    root = np.arange(len(begin))
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
    numbers = np.cumsum(root == np.arange(len(root))) - 1
    count = int(numbers[-1]) + 1 if len(numbers) else 0
    rows, starts = np.divmod(begin, stride)
    return Regions((height, width), rows, starts, end - rows * stride, numbers[root], count)


def _overlapping(begin: Integers, end: Integers, stride: int) -> tuple[Integers, Integers]:
    """Return the pairs of runs in neighbouring rows that share a column."""
    # Runs are in order of row and column, so those of the next row that overlap are neighbours.
    first = np.searchsorted(end, begin + stride, side="right")
    last = np.searchsorted(begin, end + stride, side="left")
    counts = np.maximum(last - first, 0)
    one = np.repeat(np.arange(len(begin)), counts)
    shift = np.arange(len(one)) - np.repeat(np.cumsum(counts) - counts, counts)
    return one, np.repeat(first, counts) + shift


def fill_holes(mask: Mask) -> Mask:
    """Set every pixel that the mask encloses, so that it has no path to the image's border."""
    background = regions(~mask)
    return ~background.mask_of(background.at_border)
