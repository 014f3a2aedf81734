"""Texture of a lesion: grey-level co-occurrence matrices, and gradients.

Haralick, Shanmugam and Dinstein, "Textural Features for Image Classification", IEEE SMC-3, 1973, by
scikit-image. Pairs of pixels count where both are in the lesion.
"""

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from skimage.feature import graycomatrix, graycoprops

from lentigo_trainer.baselines.features.lesion import Lesion

Floats = npt.NDArray[np.float64]

PROPERTIES: Final = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation")
LEVELS: Final = 32
_ANGLES: Final = (0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
_DISTANCES: Final = (1, 4)

TEXTURE_NAMES: Final = (
    *(f"{name}, distance {distance}" for distance in _DISTANCES for name in PROPERTIES),
    *(f"range of {name} over directions" for name in PROPERTIES),
    *(f"entropy of pairs, distance {distance}" for distance in _DISTANCES),
    "entropy of grey",
    "mean gradient",
    "deviation of the gradient",
)


def texture_features(lesion: Lesion) -> Floats:
    """Return the 20 numbers that `TEXTURE_NAMES` names; the choice is ours, see `colour`."""
    pairs = co_occurrences(lesion, _DISTANCES)
    values = np.stack([graycoprops(pairs, name) for name in PROPERTIES])
    means = values.mean(axis=2).T.ravel()
    ranges = np.ptp(values[:, 0], axis=1)
    of_pairs = [_entropy(pairs[:, :, place].mean(axis=2)) for place in range(len(_DISTANCES))]
    grey = lesion.grey[lesion.mask]
    of_grey = _entropy(np.bincount(grey // 8, minlength=LEVELS) / grey.size)
    soft = cv2.GaussianBlur(lesion.grey.astype(np.float32), (0, 0), 1)
    gradient = cv2.magnitude(cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1))
    inside = gradient[lesion.mask]
    rest = [*of_pairs, of_grey, float(inside.mean()), float(inside.std())]
    return np.concatenate([means, ranges, rest]).astype(np.float64)


def co_occurrences(lesion: Lesion, distances: tuple[int, ...]) -> Floats:
    """Return the share of each pair of grey levels, [levels, levels, distances, 4 directions].

    A lesion without a pair, as of a single pixel, gives all to the pair of equal levels.
    """
    rows, columns = np.flatnonzero(lesion.mask.any(axis=1)), np.flatnonzero(lesion.mask.any(axis=0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    # Level 0 is outside; its pairs are dropped.
    levels = np.where(lesion.mask[box], lesion.grey[box] // (256 // LEVELS) + 1, 0)
    counts = graycomatrix(
        levels.astype(np.uint8), distances, _ANGLES, levels=LEVELS + 1, symmetric=True
    )[1:, 1:].astype(np.float64)
    totals = counts.sum(axis=(0, 1), keepdims=True)
    alone = np.zeros_like(counts)
    alone[0, 0] = 1
    shares: Floats = np.where(totals > 0, counts / np.maximum(totals, 1), alone)
    return shares


def _entropy(shares: Floats) -> float:
    present = shares[shares > 0]
    return float(-(present * np.log2(present)).sum())
