"""The outline of a lesion as polygons, from its mask."""

from typing import Final

import numpy as np
import numpy.typing as npt

from lentigo_contract.segmentation.morphology import Mask
from lentigo_contract.segmentation.size import odd_length, scale_of

Points = npt.NDArray[np.float64]
"""Places (across, down), [n, 2], from the upper left corner of the first pixel."""

_SMOOTHING: Final = 9
"""Edges of pixels that a point of the outline is the mean of, so that no steps of pixels remain; at
`size.WORKING_SIDE`."""

_SPACING: Final = 2.5
"""Distance of the points of an outline, in pixels; likewise."""

_FEWEST, _MOST = 12, 400
"""Points of a polygon."""


def outlines(mask: Mask) -> list[Points]:
    """Return the outer outline of each region of a mask, the largest first.

    Pixels are neighbours along an edge. The points follow each other clockwise, and the last is
    joined to the first; holes are left out.

    Args:
        mask: bool [height, width].
    """
    rings = _rings(mask)
    areas = [signed_area(ring) for ring in rings]
    order = sorted((place for place, area in enumerate(areas) if area > 0), key=lambda i: -areas[i])
    return [_smoothed(rings[place], scale_of(mask.shape)) for place in order]


def signed_area(ring: Points) -> float:
    """Return the area of a polygon (Gauss); negative if it runs counter-clockwise on a screen."""
    x, y = around(ring, 0, 1).T
    return float(x[:-1] @ y[1:] - y[:-1] @ x[1:]) / 2


def perimeter(ring: Points) -> float:
    """Return the length of a closed polygon."""
    return float(np.hypot(*np.diff(around(ring, 0, 1), axis=0).T).sum())


def around(ring: npt.NDArray[np.float64], before: int, after: int) -> npt.NDArray[np.float64]:
    """Return a ring with so many of its last points in front, and of its first at the end."""
    return np.concatenate([ring[len(ring) - before :], ring, ring[:after]])


def _rings(mask: Mask) -> list[Points]:
    """Follow the edges between pixels inside and outside, with the inside on the right hand."""
    starts, following = _edges(mask)
    onwards = following.tolist()
    rings = []
    for first in range(len(onwards)):
        ring = []
        edge = first
        while onwards[edge] >= 0:
            ring.append(edge)
            onwards[edge], edge = -1, onwards[edge]
        if ring:
            rings.append(starts[ring])
    return rings


def _edges(mask: Mask) -> tuple[Points, npt.NDArray[np.intp]]:
    """Return where each edge begins, [n, 2], and the number of the edge that follows it, [n]."""
    padded = np.pad(mask, 1)
    inner = padded[1:-1, 1:-1]
    width = mask.shape[1] + 1
    # By direction: along the pixel's upper side to the right, its right side down, its lower side
    # to the left, its left side up. Corners are numbered row by row.
    neighbours = (padded[:-2, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2])
    begins, ends = (0, 1, width + 1, width), (1, width + 1, width, 0)
    edge_at = np.full((4, (mask.shape[0] + 1) * width), -1)
    first, last, direction = [], [], []
    count = 0
    for number, neighbour in enumerate(neighbours):
        down, across = np.nonzero(inner & ~neighbour)
        corner = down * width + across
        edge_at[number, corner + begins[number]] = np.arange(count, count + len(corner))
        count += len(corner)
        first.append(corner + begins[number])
        last.append(corner + ends[number])
        direction.append(np.full(len(corner), number))
    end, way = np.concatenate(last), np.concatenate(direction)
    # Where two pixels touch at a corner alone, the right turn stays with the first.
    right, straight, left = (edge_at[(way + turn) % 4, end] for turn in (1, 0, 3))
    following = np.where(right >= 0, right, np.where(straight >= 0, straight, left))
    begin = np.concatenate(first)
    return np.stack([begin % width, begin // width], axis=1).astype(np.float64), following


def _smoothed(ring: Points, scale: float) -> Points:
    """Average a ring over its neighbours, and place points along it at even distances."""
    count = len(ring)
    half = min(odd_length(scale * _SMOOTHING) // 2, (count - 1) // 4)
    points = around(ring, half, half + 2)
    middles = (points[:-1] + points[1:]) / 2
    # The first point once more at the end, so that the ring is closed.
    closed = np.mean([middles[k : k + count + 1] for k in range(2 * half + 1)], axis=0)
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    wanted = int(np.clip(along[-1] / (scale * _SPACING), _FEWEST, _MOST))
    places = np.linspace(0, along[-1], wanted, endpoint=False)
    return np.stack([np.interp(places, along, closed[:, axis]) for axis in (0, 1)], axis=1)
