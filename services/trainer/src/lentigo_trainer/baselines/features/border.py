"""10 numbers about the border of a lesion, also of one that the image cuts.

The paper's point is border features that hold "on both complete lesions and incomplete lesions".
Theirs are not in the abstract; these follow the idea: only the part of the outline that is inside
the field of view is looked at, so no number mistakes the image's edge for a straight border, and
each is a mean over pixels of the outline or a ratio, so a part speaks for the whole.
"""

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from lentigo_contract.segmentation.morphology import Mask
from lentigo_trainer.baselines.features.lesion import Lesion

Floats = npt.NDArray[np.float64]

_BAND: Final = 6
"""Width of the bands on both sides of the border, in pixels."""

_WINDOW: Final = 15
"""Side of the window over which a band is averaged, in pixels."""

_SMOOTH: Final = 5.0
"""Deviation of the Gaussian that smooths an outline, in pixels along it."""

_EDGE: Final = 3
"""Outline this close to the edge of the field of view is not the lesion's own border."""

BORDER_NAMES: Final = (
    "visible share of the outline",
    "mean step in lightness across the border",
    "deviation of the step in lightness",
    "mean step in colour across the border",
    "deviation of the step in colour",
    "length of the outline over its smoothed length",
    "deviation of the curvature",
    "area over that of the convex hull",
    "deviation of the radius from its smooth course",
    "share of the field of view",
)


def border_features(lesion: Lesion) -> Floats:
    """Return the numbers that `BORDER_NAMES` names; where no border is visible, as of a disc."""
    outlines, _ = cv2.findContours(
        lesion.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    longest = max(outlines, key=len)[:, 0]
    visible = _inner(lesion.field)[longest[:, 1], longest[:, 0]]
    area = float(lesion.mask.sum())
    hull = cv2.convexHull(longest)
    of_hull = cv2.contourArea(hull)
    own = cv2.contourArea(longest)
    solidity = own / of_hull if of_hull > 0 else 1.0
    shape = [1.0, 0.0, solidity, 0.0]
    steps = [0.0] * 4
    if visible.sum() >= 2 * _BAND:
        steps = _steps(lesion, longest[visible])
        shape = _shape(longest.astype(np.float64), visible, area, solidity)
    field = max(1.0, float(lesion.field.sum()))
    return np.array([visible.mean(), *steps, *shape, area / field])


def _inner(field: Mask) -> Mask:
    padded = np.pad(field.astype(np.uint8), 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]
    return distance > _EDGE


def _steps(lesion: Lesion, outline: npt.NDArray[np.int32]) -> list[float]:
    """Return mean and deviation of the steps in lightness and in colour across the border."""
    mask = lesion.mask.astype(np.uint8)
    inward = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
    outward = cv2.distanceTransform(1 - mask, cv2.DIST_L2, 3)
    inside = (inward > 0) & (inward <= _BAND)
    outside = (outward > 0) & (outward <= _BAND) & lesion.field
    at = (outline[:, 1], outline[:, 0])
    one, other = (_means(lesion.lab, band)[at] for band in (inside, outside))
    apart = other - one
    known = np.isfinite(apart).all(axis=1)
    if not known.any():
        return [0.0] * 4
    lightness = apart[known, 0]
    colour = np.linalg.norm(apart[known, 1:], axis=1)
    return [
        float(lightness.mean()),
        float(lightness.std()),
        float(colour.mean()),
        float(colour.std()),
    ]


def _means(lab: npt.NDArray[np.float32], band: Mask) -> npt.NDArray[np.float32]:
    """Average each channel over the pixels of a band within a window around each pixel."""
    weight = band.astype(np.float32)
    window = (_WINDOW, _WINDOW)
    total = cv2.boxFilter(lab * weight[..., None], -1, window, normalize=False)
    count = cv2.boxFilter(weight, -1, window, normalize=False)[..., None]
    # A pixel counts once; less than one is rounding of an empty window.
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0.5)


def _shape(
    outline: Floats, visible: npt.NDArray[np.bool_], area: float, solidity: float
) -> list[float]:
    smooth = _smoothed(outline)
    raw_steps = np.linalg.norm(np.diff(outline, axis=0, append=outline[:1]), axis=1)
    smooth_steps = np.linalg.norm(np.diff(smooth, axis=0, append=smooth[:1]), axis=1)
    roughness = raw_steps[visible].sum() / max(smooth_steps[visible].sum(), 1e-6)
    first = np.gradient(smooth, axis=0)
    second = np.gradient(first, axis=0)
    speed = np.maximum(np.linalg.norm(first, axis=1), 0.1)
    curvature = (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / speed**3
    # In units of the disc of the same area, so that size does not count.
    size = np.sqrt(area / np.pi)
    bend = np.std(np.clip(curvature[visible] * size, -20, 20))
    radius = np.linalg.norm(smooth - smooth[visible].mean(axis=0), axis=1)
    course = _smoothed(radius[:, None], 4 * _SMOOTH)[:, 0]
    uneven = np.std((radius - course)[visible]) / size
    return [float(roughness), float(bend), float(solidity), float(uneven)]


def _smoothed(values: Floats, deviation: float = _SMOOTH) -> Floats:
    """Smooth values along a closed outline, [n, k], by a Gaussian, in its frequencies."""
    frequencies = np.fft.rfftfreq(len(values))
    gains = np.exp(-2 * (np.pi * frequencies * deviation) ** 2)
    spectrum = np.fft.rfft(values, axis=0) * gains[:, None]
    return np.fft.irfft(spectrum, n=len(values), axis=0)
