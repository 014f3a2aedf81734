"""Whether a version keeps its diagnosis when an image is turned or mirrored.

A dermatoscope has no upright, so the same lesion can be photographed in any of these ways.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np

from lentigo_engines.base import Images
from lentigo_trainer.metrics.arrays import BoolArray, LabelArray
from lentigo_trainer.metrics.bootstrap import Estimate, Resampling, share_of

POSITIONS: Final = 8
"""The image, turned by 90, 180 and 270 degrees, and the mirror images of these four."""


def turned(images: Images, position: int) -> Images:
    """Turn and mirror square images.

    Args:
        images: [n, side, side, 3].
        position: below `POSITIONS`; 0 changes nothing.

    Returns:
        In the same shape and type, contiguous.
    """
    quarters = np.rot90(images, position % 4, axes=(1, 2))
    return np.ascontiguousarray(quarters[:, :, ::-1] if position >= 4 else quarters)


def other_positions() -> Iterator[partial[Images]]:
    """Return a function for each position but the first."""
    for position in range(1, POSITIONS):
        yield partial(turned, position=position)


def unchanged_share(
    diagnoses: LabelArray, in_other_positions: list[LabelArray], resampling: Resampling
) -> Estimate:
    """Return the share of images whose diagnosis is the same in every position.

    Args:
        diagnoses: class numbers, [n].
        in_other_positions: the same for each further position.
        resampling: how to compute the interval.
    """
    same: BoolArray = np.all([each == diagnoses for each in in_other_positions], axis=0)
    return share_of(same, resampling)
