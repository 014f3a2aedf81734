"""From the pixels that the network sees to a description of the lesion.

    pixels -> proportions of the picture -> hair removal -> segmentation -> outline
           -> asymmetry, border, colours, diameter

The network's input is enough: outlines from it agree with people's masks as well as those from the
image itself (decision 44), and nothing is decoded twice.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from PIL import Image, ImageFilter

from lentigo_contract.description.asymmetry import (
    Asymmetry,
    Axis,
    Place,
    centre_of,
    measure_asymmetry,
)
from lentigo_contract.description.border import Border, Sector, measure_border
from lentigo_contract.description.cielab import cielab
from lentigo_contract.description.colours import Colours, measure_colours
from lentigo_contract.description.outline import Points, outlines
from lentigo_contract.errors import DescriptionError
from lentigo_contract.segmentation.classical import segment_without_hairs
from lentigo_contract.segmentation.hair import remove_hairs
from lentigo_contract.segmentation.morphology import Bytes
from lentigo_contract.segmentation.region import Finding, Segmentation
from lentigo_contract.segmentation.size import size_in_proportion

Reason = Literal["no-lesion", "all-lesion", "hair", "cut", "unusable", "failed"]
"""Why a lesion is not described, or not as a whole."""

MOST_CUT: Final = 0.05
"""Share of the outline at the edge of the picture, above which the lesion is not seen whole."""

SIDE: Final = 150
"""Longer side of the image that is described, in pixels. Half of `size.WORKING_SIDE` finds the same
lesions (decision 44) in a third of the time."""

_COARSE: Final = 3
_BLUR: Final = 1.5
"""Colours are compared after averaging over this many pixels and a Gaussian of this radius in them:
patches of colour matter to asymmetry, and not dots."""


@dataclass(frozen=True, slots=True)
class Diameter:
    """The largest Feret diameter: between the two points of the outline that are farthest apart.

    Attributes:
        pixels: of the picture.
        ends: both points, in pixels of the picture.
    """

    pixels: float
    ends: tuple[Place, Place]


@dataclass(frozen=True, slots=True)
class LesionDescription:
    """What a lesion looks like. Places are (across, down) in pixels of the picture.

    Attributes:
        outlines: polygon of each region, the largest first, float [n, 2].
        share: of the picture that the lesion covers, 0 to 1.
        cut: share of its outline that is the edge of the picture or of the field of view, 0 to 1.
        asymmetry: None if the lesion is cut.
        border: its irregularity means nothing if the lesion is cut.
        colours: of what is seen of it.
        diameter: None if the lesion is cut.
    """

    outlines: tuple[Points, ...]
    share: float
    cut: float
    asymmetry: Asymmetry | None
    border: Border
    colours: Colours
    diameter: Diameter | None

    @property
    def is_whole(self) -> bool:
        """Whether the lesion is seen as a whole."""
        return self.cut <= MOST_CUT


@dataclass(frozen=True, slots=True)
class Description:
    """A lesion described, or why it is not.

    Attributes:
        lesion: None if it is not described.
        reason: None if it is described as a whole.
    """

    lesion: LesionDescription | None
    reason: Reason | None


def describe(pixels: Bytes, width: int, height: int) -> Description:
    """Describe the lesion of a picture.

    Args:
        pixels: uint8 [n, n, 3], sRGB, the whole picture squashed to a square, as the network sees
            it.
        width: of the picture as a viewer shows it, in pixels.
        height: likewise.

    Raises:
        DescriptionError: a number is not finite.
    """
    clean = remove_hairs(in_proportion(pixels, width, height))
    if not clean.replaced:
        return Description(None, "hair")
    found = segment_without_hairs(clean.pixels)
    match found.finding:
        case Finding.NONE:
            return Description(None, "no-lesion")
        case Finding.EVERYWHERE:
            return Description(None, "all-lesion")
        case Finding.LESION:
            lesion = _described(clean.pixels, found, width, height)
            return Description(lesion, None if lesion.is_whole else "cut")


def in_proportion(pixels: Bytes, width: int, height: int, side: int = SIDE) -> Bytes:
    """Undo the squash: give pixels the picture's proportions, at the size that is segmented."""
    size = size_in_proportion(width, height, side)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))


def _described(pixels: Bytes, found: Segmentation, width: int, height: int) -> LesionDescription:
    mask, field = found.mask, found.field
    rings = outlines(mask)
    soft = Image.fromarray(pixels).reduce(_COARSE).filter(ImageFilter.GaussianBlur(_BLUR))
    asymmetry = measure_asymmetry(mask, cielab(np.asarray(soft)), _COARSE)
    border = measure_border(pixels, field, rings, centre_of(mask), asymmetry.axes[0].angle)
    scale = np.array([width / mask.shape[1], height / mask.shape[0]])
    placed = tuple(ring * scale for ring in rings)
    cut = found.cut
    lesion = LesionDescription(
        outlines=placed,
        share=float(mask.mean()),
        cut=cut,
        asymmetry=_scaled_asymmetry(asymmetry, scale) if cut <= MOST_CUT else None,
        border=_scaled_border(border, scale),
        colours=measure_colours(pixels, mask, field),
        diameter=_diameter(np.concatenate(placed)) if cut <= MOST_CUT else None,
    )
    _require_finite(lesion)
    return lesion


def _diameter(places: Points) -> Diameter:
    """Return the largest distance between two points; a few hundred, so all pairs are compared."""
    x, y = places.T
    squares = np.square(x[:, None] - x) + np.square(y[:, None] - y)
    one, other = divmod(int(squares.argmax()), len(places))
    ends = (_place(places[one]), _place(places[other]))
    return Diameter(math.dist(*ends), ends)


def _scaled_asymmetry(asymmetry: Asymmetry, scale: Points) -> Asymmetry:
    one, other = (
        Axis(
            axis.angle,
            (_place(np.array(axis.ends[0]) * scale), _place(np.array(axis.ends[1]) * scale)),
            axis.shape,
            axis.colour,
        )
        for axis in asymmetry.axes
    )
    return Asymmetry((one, other))


def _scaled_border(border: Border, scale: Points) -> Border:
    sectors = tuple(
        Sector(tuple(line * scale for line in sector.lines), sector.sharpness)
        for sector in border.sectors
    )
    return Border(sectors, border.irregularity)


def _place(point: Points) -> Place:
    return float(point[0]), float(point[1])


def _require_finite(lesion: LesionDescription) -> None:
    axes = lesion.asymmetry.axes if lesion.asymmetry else ()
    numbers = [
        lesion.border.irregularity,
        *lesion.colours.shares,
        *(value for axis in axes for value in (axis.shape, axis.colour)),
        *(each.sharpness for each in lesion.border.sectors if each.sharpness is not None),
    ]
    if not all(map(math.isfinite, numbers)):
        raise DescriptionError("A number of the description is not finite.")
