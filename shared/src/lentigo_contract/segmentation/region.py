"""From a score for each pixel to one plausible lesion: what classical and other methods share."""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from lentigo_contract.segmentation.connected_regions import Regions, fill_holes, regions
from lentigo_contract.segmentation.morphology import (
    Mask,
    close,
    dilate,
    disc,
    open_,
    outline,
)
from lentigo_contract.segmentation.size import scale_of

Floats = npt.NDArray[np.float32]

_OPENING: Final = 3
"""Radius in pixels; what is narrower is no lesion, such as a hair or the tick of a ruler."""

_CLOSING: Final = 5
_GROWTH: Final = 3
"""Radius in pixels by which a region is widened: people draw outlines outside of the edge."""

_CENTRE: Final = 0.65
"""How wide the middle of the image is, in half widths: a pixel there speaks more for a lesion."""

_LEAST_SHARE: Final = 0.5
"""A further region belongs to the lesion if it weighs at least this share of the heaviest."""

_STRIP: Final = 0.2
"""Share of the image's side; a region no deeper than this, and long, along an edge is no lesion."""

_LONG: Final = 3
"""Such a region, or several in a row, is more than so many times as long as deep."""

_ROW: Final = 3
"""Regions that make a row."""

_LEAST_AREA: Final = 0.002
"""Share of the field of view below which a region is no lesion."""

_MOST_AREA: Final = 0.93
"""Share of the field of view above which the lesion is everywhere."""


class Finding(StrEnum):
    """What a segmentation found.

    Attributes:
        LESION: a lesion with skin beside it.
        NONE: no region that differs from the skin.
        EVERYWHERE: the lesion fills the field of view, so there is no skin to compare with.
    """

    LESION = "lesion"
    NONE = "none"
    EVERYWHERE = "everywhere"


@dataclass(frozen=True, slots=True)
class Segmentation:
    """Where the lesion is.

    Attributes:
        mask: its pixels, bool [height, width]; none of them if nothing was found, and the field of
            view if it is everywhere.
        field: the field of view, bool [height, width]: without the dark corners of a round lens.
        finding: what the mask shows.
    """

    mask: Mask
    field: Mask
    finding: Finding

    @property
    def cut(self) -> float:
        """Share of the outline that is the edge of the image or of the field of view, 0 to 1.

        A lesion with a large share goes on outside the image.
        """
        border = outline(self.mask)
        if not border.any():
            return 0.0
        inner = self.field.copy()
        inner[[0, -1], :] = False
        inner[:, [0, -1]] = False
        edge = dilate(~inner, disc(1))
        return float(np.count_nonzero(border & edge) / np.count_nonzero(border))


def choose_region(candidates: Mask, score: Floats, field: Mask, dark: bool) -> Segmentation:
    """Choose the lesion among the pixels that may be one, and smooth its outline.

    Args:
        candidates: which pixels differ from the skin.
        score: by how much, [height, width]; 1 is a strong pigment.
        field: the field of view.
        dark: whether the image as a whole is darker than skin: if nothing stands out, it is lesion.
    """
    scale = scale_of(field.shape)
    opened = open_(candidates & field, disc(_OPENING, scale))
    mask = opened
    found = regions(opened)
    if found.count:
        weights = found.sums(centrality(*opened.shape) * np.clip(score, 0, 1))
        # A region that is too small alone is so beside others too: the ticks of a ruler.
        weights[_strips(found) | (found.areas < _LEAST_AREA * np.count_nonzero(field))] = 0
        kept = (weights >= _LEAST_SHARE * weights.max()) & (weights > 0)
        mask = fill_holes(close(found.mask_of(kept), disc(_CLOSING, scale)))
        mask = dilate(mask, disc(_GROWTH, scale)) & field
    share = int(np.count_nonzero(mask)) / max(1, int(np.count_nonzero(field)))
    if share > _MOST_AREA or (share < _LEAST_AREA and dark):
        return Segmentation(field.copy(), field, Finding.EVERYWHERE)
    if share < _LEAST_AREA:
        return Segmentation(np.zeros_like(mask), field, Finding.NONE)
    return Segmentation(mask, field, Finding.LESION)


def _strips(found: Regions) -> Mask:
    """Return which regions lie along one edge of the image, low and long: rulers, shadows, rims."""
    height, width = found.shape
    top, left, bottom, right = found.boxes
    strips = np.zeros(found.count, np.bool_)
    # Along the rows, and along the columns.
    for side, (first, last), (begin, end) in (
        (height, (top, bottom), (left, right)),
        (width, (left, right), (top, bottom)),
    ):
        for near in (last <= _STRIP * side, first >= (1 - _STRIP) * side):
            strips |= near & (end - begin > _LONG * (last - first))
            # The ticks of a ruler are several regions in a row.
            if np.count_nonzero(near) >= _ROW:
                deep = last[near].max() - first[near].min()
                strips |= near & (end[near].max() - begin[near].min() > _LONG * deep)
    return strips


@lru_cache(maxsize=4)
def centrality(height: int, width: int) -> Floats:
    """Return how near to the middle each pixel is: 1 there, falling as a Gaussian."""
    rows, columns = np.ogrid[0:height, 0:width]
    half = max(height, width) / 2
    squared = ((rows - (height - 1) / 2) ** 2 + (columns - (width - 1) / 2) ** 2) / half**2
    return np.exp(-squared / _CENTRE**2).astype(np.float32)
