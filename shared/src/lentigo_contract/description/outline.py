"""The outline of a lesion as polygons, from its mask."""

from typing import Final

import numpy as np
import numpy.typing as npt

from lentigo_contract.segmentation.morphology import Mask

Points = npt.NDArray[np.float64]
"""Places (across, down), [n, 2], from the upper left corner of the first pixel."""

_SMOOTHING: Final = 9
"""Edges of pixels that a point of the outline is the mean of, so that no steps of pixels remain."""

_SPACING: Final = 2.5
"""Distance of the points of an outline, in pixels of the mask."""

_FEWEST, _MOST = 12, 400
"""Points of a polygon."""

_Corner = tuple[int, int]


def outlines(mask: Mask) -> list[Points]:
    """Return the outer outline of each region of a mask, the largest first.

    Pixels are neighbours along an edge. The points follow each other clockwise, and the last is
    joined to the first; holes are left out.

    Args:
        mask: bool [height, width].
    """
    rings = [np.array(ring, np.float64) for ring in _rings(mask)]
    areas = [signed_area(ring) for ring in rings]
    order = sorted((place for place, area in enumerate(areas) if area > 0), key=lambda i: -areas[i])
    return [_smoothed(rings[place]) for place in order]


def signed_area(ring: Points) -> float:
    """Return the area of a polygon (Gauss); negative if it runs counter-clockwise on a screen."""
    x, y = ring.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def perimeter(ring: Points) -> float:
    """Return the length of a closed polygon."""
    return float(np.hypot(*(np.roll(ring, -1, axis=0) - ring).T).sum())


def _rings(mask: Mask) -> list[list[_Corner]]:
    """Follow the edges between pixels inside and outside, with the inside on the right hand."""
    follow = _edges(mask)
    rings = []
    while follow:
        start = next(iter(follow))
        ring, before, corner = [], start, start
        while True:
            ends = follow[corner]
            # Where two pixels touch at a corner alone, the right turn stays with the first.
            end = ends[0] if len(ends) == 1 else _right_turn(before, corner, ends)
            ends.remove(end)
            if not ends:
                del follow[corner]
            ring.append(corner)
            before, corner = corner, end
            if corner == start:
                break
        rings.append(ring)
    return rings


def _edges(mask: Mask) -> dict[_Corner, list[_Corner]]:
    """Return where each edge leads to, by the corner that it begins at."""
    padded = np.pad(mask, 1)
    inner = padded[1:-1, 1:-1]
    sides = (
        (padded[:-2, 1:-1], (0, 0), (1, 0)),  # above: to the right
        (padded[1:-1, 2:], (1, 0), (1, 1)),  # right: down
        (padded[2:, 1:-1], (1, 1), (0, 1)),  # below: to the left
        (padded[1:-1, :-2], (0, 1), (0, 0)),  # left: up
    )
    follow: dict[_Corner, list[_Corner]] = {}
    for neighbour, (x, y), (to_x, to_y) in sides:
        down, across = np.nonzero(inner & ~neighbour)
        for row, column in zip(down.tolist(), across.tolist(), strict=True):
            follow.setdefault((column + x, row + y), []).append((column + to_x, row + to_y))
    return follow


def _right_turn(before: _Corner, corner: _Corner, ends: list[_Corner]) -> _Corner:
    along, down = corner[0] - before[0], corner[1] - before[1]
    right = (corner[0] - down, corner[1] + along)
    return right if right in ends else ends[0]


def _smoothed(ring: Points) -> Points:
    """Average a ring over its neighbours, and place points along it at even distances."""
    count = len(ring)
    middles = (ring + np.roll(ring, -1, axis=0)) / 2
    half = min(_SMOOTHING // 2, (count - 1) // 4)
    window = [np.roll(middles, step, axis=0) for step in range(-half, half + 1)]
    soft = np.mean(window, axis=0)
    closed = np.concatenate([soft, soft[:1]])
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    wanted = int(np.clip(along[-1] / _SPACING, _FEWEST, _MOST))
    places = np.linspace(0, along[-1], wanted, endpoint=False)
    return np.stack([np.interp(places, along, closed[:, axis]) for axis in (0, 1)], axis=1)
