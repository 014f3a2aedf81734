"""The border: how irregular its line is, and where the pigment ends abruptly.

The ABCD rule of dermatoscopy (Nachbar et al. 1994) divides a lesion into eight sectors and counts
those in which the pigment ends abruptly at the margin. How abruptly it ends is measured here as the
steepest rise of lightness within a few pixels across the outline, in parts of the whole rise there.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from lentigo_contract.description.asymmetry import Place
from lentigo_contract.description.cielab import Floats, cielab
from lentigo_contract.description.outline import Points, perimeter, signed_area
from lentigo_contract.segmentation.morphology import Bytes, Mask

SECTORS: Final = 8

ABRUPT: Final = 0.55
"""Share of the whole rise within `_WIDTH` from which a sector's border is abrupt; by eye."""

_WIDTH: Final = 5
"""Pixels across the outline within which an abrupt border ends, of about 300 of the picture."""

_INSIDE, _OUTSIDE = 14, 5
"""Pixels from the outline where to look; it is drawn outside of the edge, see `region`."""

_LEAST_RISE: Final = 6.0
"""L* across the outline, below which the border is too faint to end abruptly."""

_EDGE: Final = 2.0
"""A point this close to the edge of the image or of the field of view is not the lesion's border,
in pixels of the mask."""


@dataclass(frozen=True, slots=True)
class Sector:
    """An eighth of the border.

    Attributes:
        lines: the pieces of the outline in it, places (across, down).
        sharpness: median share of the rise of lightness within five pixels across the outline, 0
            to 1, 0 where it hardly rises; None if most of this part is not seen.
    """

    lines: tuple[Points, ...]
    sharpness: float | None

    @property
    def abrupt(self) -> bool | None:
        """Whether the pigment ends abruptly here; None if it is not seen."""
        return None if self.sharpness is None else self.sharpness >= ABRUPT


@dataclass(frozen=True, slots=True)
class Border:
    """The border of a lesion.

    Attributes:
        sectors: eight of 45 degrees, clockwise from the first axis of asymmetry.
        irregularity: squared length of the outline over that of a circle of the same area, 1 for a
            circle and more for any other shape.
    """

    sectors: tuple[Sector, ...]
    irregularity: float

    @property
    def score(self) -> int:
        """In how many sectors the border ends abruptly, 0 to 8."""
        return sum(sector.abrupt is True for sector in self.sectors)


def measure_border(
    pixels: Bytes, field: Mask, rings: list[Points], centre: Place, start: float
) -> Border:
    """Measure the border in eight sectors.

    Args:
        pixels: uint8 [height, width, 3], sRGB, without hairs.
        field: the field of view, bool [height, width].
        rings: the outlines of the lesion.
        centre: of the lesion (across, down), around which the sectors lie.
        start: angle at which the first sector begins, in radians from across to down.
    """
    sharpness = np.concatenate([_sharpness(pixels, ring) for ring in rings])
    places = np.concatenate(rings)
    seen = _is_seen(places, field)
    angles = np.arctan2(places[:, 1] - centre[1], places[:, 0] - centre[0]) - start
    of_sector = (angles % (2 * math.pi) / (2 * math.pi / SECTORS)).astype(int) % SECTORS
    sectors = []
    for number in range(SECTORS):
        own = of_sector == number
        usable = own & seen
        known = usable.sum() > own.sum() / 2
        value = float(np.median(sharpness[usable])) if known else None
        sectors.append(Sector(_lines(rings, own), value))
    area = sum(signed_area(ring) for ring in rings)
    # Of several regions each has its own circle.
    irregularity = sum(perimeter(ring) ** 2 for ring in rings) / (4 * math.pi * area)
    return Border(tuple(sectors), irregularity)


def _sharpness(pixels: Bytes, ring: Points) -> Floats:
    """Return the share of the rise of L* within five pixels, going outwards, at each point."""
    ahead, behind = np.roll(ring, -2, axis=0), np.roll(ring, 2, axis=0)
    along = ahead - behind
    outwards = np.stack([along[:, 1], -along[:, 0]], axis=1)
    outwards /= np.maximum(np.hypot(*outwards.T), 1e-9)[:, None]
    steps = np.arange(-_INSIDE, _OUTSIDE + 1)
    places = ring[:, None] + outwards[:, None] * steps[:, None]
    height, width = pixels.shape[:2]
    across = np.floor(places[..., 0]).astype(np.intp).clip(0, width - 1)
    down = np.floor(places[..., 1]).astype(np.intp).clip(0, height - 1)
    light = cielab(pixels[down, across])[..., 0]
    # The mean of each place and its neighbours along the outline, against noise.
    light = (np.roll(light, 1, axis=0) + light + np.roll(light, -1, axis=0)) / 3
    steepest = (light[:, _WIDTH:] - light[:, :-_WIDTH]).max(axis=1)
    # The lightest place beyond the darkest.
    whole = (light - np.minimum.accumulate(light, axis=1)).max(axis=1)
    return np.where(whole >= _LEAST_RISE, steepest / np.maximum(whole, _LEAST_RISE), 0.0)


def _is_seen(places: Points, field: Mask) -> Mask:
    """Return which points lie inside the field of view, and not at its edge."""
    height, width = field.shape
    seen = np.ones(len(places), np.bool_)
    for right, down in ((0, 0), (_EDGE, 0), (-_EDGE, 0), (0, _EDGE), (0, -_EDGE)):
        across = np.floor(places[:, 0] + right).astype(np.intp)
        below = np.floor(places[:, 1] + down).astype(np.intp)
        inside = (across >= 0) & (across < width) & (below >= 0) & (below < height)
        seen &= inside
        seen[inside] &= field[below[inside], across[inside]]
    return seen


def _lines(rings: list[Points], own: Mask) -> tuple[Points, ...]:
    """Return the runs of points of a sector, each with the first point of the next sector."""
    lines = []
    begin = 0
    for ring in rings:
        mine = own[begin : begin + len(ring)]
        begin += len(ring)
        if mine.all():
            lines.append(np.concatenate([ring, ring[:1]]))
            continue
        # Turned so that no run goes over the end.
        turn = int(np.argmin(mine))
        turned, mine = np.roll(ring, -turn, axis=0), np.roll(mine, -turn)
        change = np.diff(np.concatenate([[0], mine.astype(np.int8), [0]]))
        pairs = zip(np.flatnonzero(change == 1), np.flatnonzero(change == -1), strict=True)
        lines += [
            np.take(turned, range(first, last + 1), axis=0, mode="wrap") for first, last in pairs
        ]
    return tuple(lines)
