"""The border: how irregular its line is, and where the pigment ends abruptly.

The ABCD rule of dermatoscopy (Nachbar et al. 1994) divides a lesion into eight sectors and counts
those in which the pigment ends abruptly at the margin. How abruptly it ends is measured here as the
steepest rise of lightness within a few pixels across the outline, in parts of the whole rise there.
"""

import math
import statistics
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lentigo_contract.description.asymmetry import Place
from lentigo_contract.description.cielab import Floats, lightness
from lentigo_contract.description.outline import Points, around, perimeter, signed_area
from lentigo_contract.segmentation.morphology import Bytes, Mask
from lentigo_contract.segmentation.size import scale_of

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
    lines = _lines(rings, of_sector)
    sectors = []
    for number in range(SECTORS):
        own = of_sector == number
        usable = sharpness[own & seen].tolist()
        known = 2 * len(usable) > np.count_nonzero(own)
        sectors.append(Sector(lines[number], statistics.median(usable) if known else None))
    area = sum(signed_area(ring) for ring in rings)
    # Of several regions each has its own circle.
    irregularity = sum(perimeter(ring) ** 2 for ring in rings) / (4 * math.pi * area)
    return Border(tuple(sectors), irregularity)


def _sharpness(pixels: Bytes, ring: Points) -> Floats:
    """Return the share of the rise of L* within five pixels, going outwards, at each point."""
    along = around(ring, 0, 2)[2:] - around(ring, 2, 0)[:-2]
    outwards = np.stack([along[:, 1], -along[:, 0]], axis=1)
    outwards /= np.maximum(np.hypot(*outwards.T), 1e-9)[:, None]
    steps = scale_of(pixels.shape) * np.arange(-_INSIDE, _OUTSIDE + 1)
    places = ring[:, None] + outwards[:, None] * steps[:, None]
    height, width = pixels.shape[:2]
    across = np.floor(places[..., 0]).astype(np.intp).clip(0, width - 1)
    down = np.floor(places[..., 1]).astype(np.intp).clip(0, height - 1)
    light = lightness(pixels.reshape(-1, 3)[down * width + across])
    # The mean of each place and its neighbours along the outline, against noise.
    light = around(light, 1, 1)
    light = (light[:-2] + light[1:-1] + light[2:]) / 3
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


def _lines(rings: list[Points], of_sector: npt.NDArray[np.intp]) -> list[tuple[Points, ...]]:
    """Return the runs of points of each sector, each with the first point of the next sector."""
    lines: list[list[Points]] = [[] for _ in range(SECTORS)]
    begin = 0
    for ring in rings:
        own = of_sector[begin : begin + len(ring)]
        begin += len(ring)
        changes = np.flatnonzero(np.diff(own, prepend=own[-1])).tolist() or [0]
        # From one change to the next, and from the last one over the end of the ring to the first.
        twice = around(ring, 0, changes[0] + 1)
        for first, last in zip(changes, [*changes[1:], changes[0] + len(ring)], strict=True):
            lines[own[first]].append(twice[first : last + 1])
    return [tuple(each) for each in lines]
