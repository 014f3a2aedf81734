"""The colours of a lesion, of the six that the ABCD rule of dermatoscopy counts.

Nachbar et al. (1994) count white, red, light brown, dark brown, blue-grey and black, and white only
where it is lighter than the skin. Each pixel counts for the colour whose reference is nearest in
CIELAB. The references are the centroids that the ISCC-NBS system gives for these words (Kelly and
Judd, "Color: Universal Language and Dictionary of Names", NBS Special Publication 440, 1976), in
sRGB as Jaffer tabulated them (https://people.csail.mit.edu/jaffer/Color/Dictionaries). The skin
beside the lesion is a further reference, so that skin within the outline counts for none.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from lentigo_contract.description.cielab import (
    Floats,
    cielab,
    counts_of,
    gains_of,
    median_of,
    under_white_light,
)
from lentigo_contract.segmentation.morphology import Bytes, Mask, dilate, disc

ColourName = Literal["white", "red", "light-brown", "dark-brown", "blue-grey", "black"]

COLOURS: Final[tuple[ColourName, ...]] = get_args(ColourName)

LEAST_SHARE: Final = 0.05
"""Share of the lesion from which a colour counts; ours."""

_REFERENCES: Final[dict[ColourName, tuple[str, ...]]] = {
    # White, yellowish white, pinkish white.
    "white": ("f2f3f4", "f0ead6", "eae3e1"),
    # Strong and moderate red; dark red would take the reddish brown of many nevi.
    "red": ("bc3f4a", "ab4e52"),
    # Light brown, light reddish brown, light greyish brown.
    "light-brown": ("a67b5b", "a87c6d", "958070"),
    # Moderate, moderate reddish, deep, dark and dark reddish brown.
    "dark-brown": ("6f4e37", "79443b", "593319", "422518", "3e1d1e"),
    # Greyish blue, dark greyish blue, bluish grey, dark bluish grey.
    "blue-grey": ("536878", "36454f", "81878b", "51585e"),
    # Black, brownish black, bluish black.
    "black": ("222222", "28201c", "202428"),
}

_SKIN_MARGIN: Final = 2
"""Pixels beside the lesion that are not taken for skin."""

_STEP: Final = 2
"""Every second row and column of the lesion is looked at."""


@dataclass(frozen=True, slots=True)
class Colours:
    """The colours of a lesion.

    Attributes:
        shares: of each of the six, in order of `COLOURS`, 0 to 1; what looks like skin is missing.
    """

    shares: tuple[float, ...]

    @property
    def found(self) -> tuple[tuple[ColourName, float], ...]:
        """The colours that count, and their shares, the largest first."""
        counted = [
            pair for pair in zip(COLOURS, self.shares, strict=True) if pair[1] >= LEAST_SHARE
        ]
        return tuple(sorted(counted, key=lambda pair: -pair[1]))

    @property
    def score(self) -> int:
        """How many of the six colours there are, 0 to 6."""
        return len(self.found)


def measure_colours(pixels: Bytes, mask: Mask, field: Mask) -> Colours:
    """Name the colours of a lesion.

    Args:
        pixels: uint8 [height, width, 3], sRGB, without hairs.
        mask: the lesion's pixels, bool [height, width].
        field: the field of view, likewise.
    """
    names = colour_map(pixels, mask, field, _STEP)
    counts = np.bincount(names, minlength=len(COLOURS) + 1)[: len(COLOURS)]
    return Colours(tuple((counts / max(1, len(names))).tolist()))


def colour_map(pixels: Bytes, mask: Mask, field: Mask, step: int = 1) -> npt.NDArray[np.intp]:
    """Return the place in `COLOURS` of each pixel of the lesion, row by row; 6 for skin.

    Args:
        pixels: as for `measure_colours`.
        mask: likewise.
        field: likewise.
        step: how many rows and columns to go on.
    """
    every = (slice(None, None, step), slice(None, None, step))
    margin = disc(max(1, _SKIN_MARGIN // step))
    pixels, mask, field = pixels[every], mask[every], field[every]
    gains = gains_of(counts_of(pixels[field]))
    lesion = cielab(under_white_light(pixels[mask], gains))
    references, meaning = _references()
    skin = pixels[field & ~dilate(mask, margin)]
    if len(skin):
        of_skin = cielab(under_white_light(median_of(counts_of(skin)), gains)[None])
        # White is lighter than the skin.
        kept = (meaning > 0) | (references[:, 0] > of_skin[0, 0])
        references = np.concatenate([references[kept], of_skin])
        meaning = np.append(meaning[kept], len(COLOURS))
    return meaning[_nearest(lesion, references)]


@cache
def _references() -> tuple[Floats, npt.NDArray[np.intp]]:
    """Return the references in CIELAB, [n, 3], and the place in `COLOURS` of each, [n]."""
    hexes = [(place, each) for place, name in enumerate(COLOURS) for each in _REFERENCES[name]]
    colours = np.array([list(bytes.fromhex(each)) for _, each in hexes], np.uint8)
    return cielab(colours), np.array([place for place, _ in hexes])


def _nearest(colours: Floats, references: Floats) -> npt.NDArray[np.intp]:
    """Return the place of the nearest reference of each colour, by Euclidean distance."""
    # |c - r|² without |c|², which is the same for all references.
    nearest: npt.NDArray[np.intp] = (
        np.square(references).sum(axis=1) - 2 * colours @ references.T
    ).argmin(axis=1)
    return nearest
