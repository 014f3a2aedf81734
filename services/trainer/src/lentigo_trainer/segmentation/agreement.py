"""How well two masks agree: overlap, and the distance of their outlines."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from lentigo_contract.segmentation.morphology import Mask, outline
from lentigo_trainer.errors import MaskError

LEAST_JACCARD: Final = 0.65
"""Below it a mask counts as a failure, with 0: the thresholded Jaccard of ISIC 2018 Task 1 (Codella
et al., "Skin lesion analysis toward melanoma detection 2018", arXiv 1902.03368)."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well one mask agrees with another.

    Attributes:
        jaccard: pixels of both over pixels of either, 0 to 1; 1 for two empty masks.
        dice: twice the pixels of both over the sum of their pixels.
        surface_distance: mean distance of each outline's pixels from the other outline, over both,
            in pixels; NaN if one mask is empty.
        hausdorff_95: the larger of the two 95th percentiles of these distances, in pixels; NaN if
            one mask is empty.
    """

    jaccard: float
    dice: float
    surface_distance: float
    hausdorff_95: float

    @property
    def thresholded(self) -> float:
        """The Jaccard index, or 0 below `LEAST_JACCARD`."""
        return self.jaccard if self.jaccard >= LEAST_JACCARD else 0.0


def agreement(mask: Mask, truth: Mask) -> Agreement:
    """Compare a mask with that of a person.

    Args:
        mask: bool [height, width].
        truth: of the same shape.

    Raises:
        MaskError: the shapes differ.
    """
    if mask.shape != truth.shape:
        raise MaskError(f"Masks of {mask.shape} and {truth.shape} pixels cannot be compared.")
    both = int((mask & truth).sum())
    either = int((mask | truth).sum())
    if either == 0:
        return Agreement(1.0, 1.0, np.nan, np.nan)
    if not mask.any() or not truth.any():
        return Agreement(0.0, 0.0, np.nan, np.nan)
    ours, theirs = outline(mask), outline(truth)
    to_theirs, to_ours = _distances(theirs)[ours], _distances(ours)[theirs]
    return Agreement(
        jaccard=both / either,
        dice=2 * both / (both + either),
        surface_distance=float(np.concatenate([to_theirs, to_ours]).mean()),
        hausdorff_95=float(max(np.quantile(to_theirs, 0.95), np.quantile(to_ours, 0.95))),
    )


def _distances(border: Mask) -> npt.NDArray[np.float32]:
    """Return each pixel's distance from the nearest pixel of an outline."""
    away = cv2.distanceTransform((~border).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away, np.float32)
