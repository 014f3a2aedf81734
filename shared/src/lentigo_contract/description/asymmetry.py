"""Asymmetry: the lesion folded over each axis through its middle.

Two axes at right angles are laid so that the lesion is as symmetric as can be, as in the ABCD rule
of dermatoscopy (Nachbar et al., "The ABCD rule of dermatoscopy", JAAD 30:551-559, 1994), where
contour, colours and structures are judged about each. Contour and colours are measured here;
structures are not. How much of the contour has no counterpart is the measure of Stoecker, Li and
Moss ("Automatic detection of asymmetry in skin tumors", Computerized Medical Imaging and Graphics
16:191-197, 1992).
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lentigo_contract.description.cielab import Floats
from lentigo_contract.segmentation.morphology import Integers, Mask

SHAPE_LIMIT: Final = 0.10
"""Share of the lesion without a counterpart, above which it is asymmetric about an axis; ours."""

COLOUR_LIMIT: Final = 8.0
"""Mean difference of colour to the counterpart (CIELAB), above which it is, too; ours."""

_ANGLES: Final = 18
"""Axes that are tried, over half a turn: every 10 degrees. An even number."""

_SAMPLES: Final = 1500
"""Pixels of the lesion that are folded, at most about."""

Place = tuple[float, float]

Singles = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Axis:
    """The lesion folded over one axis.

    Attributes:
        angle: of the axis from across to down, in radians, 0 to pi.
        ends: where the axis enters and leaves the lesion's extent, in pixels of the mask.
        shape: share of the lesion's area without a counterpart on the other side, 0 to 1.
        colour: mean difference to the counterpart's colour, CIELAB, 0 and above.
    """

    angle: float
    ends: tuple[Place, Place]
    shape: float
    colour: float

    @property
    def asymmetric(self) -> bool:
        """Whether the two sides differ in shape or colour."""
        return self.shape > SHAPE_LIMIT or self.colour > COLOUR_LIMIT


@dataclass(frozen=True, slots=True)
class Asymmetry:
    """Two axes at right angles, about which the lesion is as symmetric as can be."""

    axes: tuple[Axis, Axis]

    @property
    def score(self) -> int:
        """About how many axes the lesion is asymmetric, 0 to 2."""
        return sum(axis.asymmetric for axis in self.axes)


def centre_of(mask: Mask) -> Place:
    """Return the centroid of a mask (across, down), from the upper left corner of the image."""
    down, across = np.nonzero(mask)
    return float(across.mean()) + 0.5, float(down.mean()) + 0.5


def measure_asymmetry(mask: Mask, lab: Floats, step: int) -> Asymmetry:
    """Fold a lesion over axes through its centroid, and choose the two that it fits best.

    Args:
        mask: its pixels, bool [height, width]; at least one.
        lab: CIELAB of the image made smaller by `step`, float [height / step, width / step, 3].
        step: pixels of the mask for one of `lab`.
    """
    centre = centre_of(mask)
    x, y = _samples(mask, centre)
    angles = np.arange(_ANGLES) * math.pi / _ANGLES
    shapes, colours = _folded(mask, lab, step, centre, (x, y), angles)
    asymmetric = (shapes > SHAPE_LIMIT) | (colours > COLOUR_LIMIT)
    # In units of their limits, so that both count alike.
    excess = shapes / SHAPE_LIMIT + colours / COLOUR_LIMIT
    half = _ANGLES // 2
    scores = asymmetric[:half].astype(int) + asymmetric[half:]
    first = int(np.lexsort((excess[:half] + excess[half:], scores))[0])
    one, other = (
        Axis(
            float(angles[place]),
            _ends(centre, float(angles[place]), x, y),
            float(shapes[place]),
            float(colours[place]),
        )
        for place in (first, first + half)
    )
    return Asymmetry((one, other))


def _samples(mask: Mask, centre: Place) -> tuple[Floats, Floats]:
    """Return the steps from the centre to an even choice of the lesion's pixels."""
    step = max(1, round(math.sqrt(np.count_nonzero(mask) / _SAMPLES)))
    if not mask[::step, ::step].any():
        step = 1
    down, across = np.argwhere(mask[::step, ::step]).T.astype(np.float64)
    return across * step + 0.5 - centre[0], down * step + 0.5 - centre[1]


def _folded(
    mask: Mask,
    lab: Floats,
    step: int,
    centre: Place,
    samples: tuple[Floats, Floats],
    angles: Floats,
) -> tuple[Floats, Floats]:
    """Return the share without counterpart and the mean difference of colour, for each angle."""
    x, y = (each.astype(np.float32) for each in samples)
    height, width = mask.shape
    # A pixel of skin around the image stands for all that lies outside.
    inside = np.pad(mask, 1).ravel()
    # Where in `lab` the colour of each of these pixels is.
    rows, columns = (
        (np.arange(-1, side + 1) // step).clip(0, coarse - 1)
        for side, coarse in zip(mask.shape, lab.shape, strict=False)
    )
    colour_at = (rows[:, None] * lab.shape[1] + columns).ravel()

    def places(across: Singles, down: Singles) -> Integers:
        # A cast rounds down what is not negative.
        right = (across + 1).clip(0, width + 1).astype(np.intp)
        below = (down + 1).clip(0, height + 1).astype(np.intp)
        return np.asarray(below * (width + 2) + right, np.intp)

    cosine, sine = (part(2 * angles).astype(np.float32)[:, None] for part in (np.cos, np.sin))
    across, down = (np.float32(each) for each in centre)
    other = places(x * cosine + y * sine + across, x * sine - y * cosine + down)
    met = inside[other]
    own, counterpart = colour_at[places(x + across, y + down)], colour_at[other]
    squares = np.zeros(other.shape, np.float32)
    for channel in lab.reshape(-1, 3).T.astype(np.float32):
        squares += np.square(channel[counterpart] - channel[own])
    counts = np.count_nonzero(met, axis=1)
    differences = (np.sqrt(squares) * met).sum(axis=1, dtype=np.float64)
    return 1 - counts / len(x), differences / np.maximum(counts, 1)


def _ends(centre: Place, angle: float, x: Floats, y: Floats) -> tuple[Place, Place]:
    along = x * math.cos(angle) + y * math.sin(angle)
    one, other = (
        (centre[0] + far * math.cos(angle), centre[1] + far * math.sin(angle))
        for far in (float(along.min()), float(along.max()))
    )
    return one, other
