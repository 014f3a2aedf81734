"""Whether two images show one lesion: features of one found again in the other, in one geometry."""

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from lentigo_trainer.data.duplicates.local_features import LocalFeatures

RATIO: Final = 0.8
"""Lowe's ratio: a match must be nearer than this share of the second nearest."""

TOLERANCE: Final = 4.0
"""Pixels that a point may miss the place where the geometry puts it."""

# With fewer matches there cannot be enough that agree.
_FEWEST: Final = 6


def matching_points(one: LocalFeatures, other: LocalFeatures) -> int:
    """Return how many features of two images match and agree on a shift, turn and scale.

    Matches are mutual nearest neighbours that pass the ratio test (Lowe 2004); RANSAC (Fischler
    and Bolles 1981) finds the similarity transformation that most of them agree on.
    """
    rows, columns = _matches(one.descriptors, other.descriptors)
    if len(rows) < _FEWEST:
        return 0
    cv2.setRNGSeed(0)
    _, agreeing = cv2.estimateAffinePartial2D(
        one.points[rows],
        other.points[columns],
        method=cv2.RANSAC,
        ransacReprojThreshold=TOLERANCE,
        maxIters=2000,
        confidence=0.999,
    )
    # Without a transformation that fits, OpenCV returns None.
    return int(np.count_nonzero(agreeing))


def _matches(
    one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    if min(len(one), len(other)) < 2:
        return np.array([], np.intp), np.array([], np.intp)
    first, second = one.astype(np.float32), other.astype(np.float32)
    distances = (first**2).sum(1)[:, None] + (second**2).sum(1) - 2 * (first @ second.T)
    rows, nearest = np.arange(len(first)), distances.argmin(1)
    mutual = distances.argmin(0)[nearest] == rows
    smallest = distances[rows, nearest]
    # Without the nearest, the smallest distance of a row is that of the second nearest.
    distances[rows, nearest] = np.inf
    chosen = np.flatnonzero(mutual & (smallest < RATIO**2 * distances.min(1)))
    return chosen, nearest[chosen]
