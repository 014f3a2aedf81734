"""27 numbers about the colours of a lesion.

Means and deviations in two colour spaces, how far the lesion is from its skin, and how much of it
has each of six colours that dermatologists count (Stolz et al., "ABCD rule of dermatoscopy",
European Journal of Dermatology 4, 1994). Xie et al. have features of colour among their 57; which
ones is not in the abstract, so this choice is ours.
"""

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from lentigo_trainer.baselines.features.lesion import Lesion

_SIX: Final = {
    "white": (225, 210, 205),
    "red": (190, 75, 75),
    "light_brown": (185, 130, 95),
    "dark_brown": (110, 65, 45),
    "blue_grey": (100, 105, 125),
    "black": (45, 30, 30),
}
"""Reference colours, sRGB, by eye; a pixel counts for the nearest in CIE L*a*b*."""

COLOUR_NAMES: Final = (
    *(f"{what} of {channel}" for channel in "RGBLab" for what in ("mean", "deviation")),
    *(f"skewness of {channel}" for channel in "RGB"),
    *(f"difference to skin in {channel}" for channel in "Lab"),
    *(f"ratio to skin in {channel}" for channel in "RGB"),
    *(f"share of {colour.replace('_', ' ')}" for colour in _SIX),
)


def colour_features(lesion: Lesion) -> npt.NDArray[np.float64]:
    """Return the numbers that `COLOUR_NAMES` names.

    Without skin to compare with, differences are 0 and ratios 1.
    """
    rgb = lesion.pixels[lesion.mask].astype(np.float64)
    lab = lesion.lab[lesion.mask].astype(np.float64)
    both = np.hstack([rgb, lab])
    means, deviations = both.mean(axis=0), both.std(axis=0)
    centred = rgb - means[:3]
    skewness = (centred**3).mean(axis=0) / np.maximum(deviations[:3], 1.0) ** 3
    differences, ratios = np.zeros(3), np.ones(3)
    if lesion.skin.any():
        skin_rgb = np.median(lesion.pixels[lesion.skin], axis=0)
        differences = means[3:] - np.median(lesion.lab[lesion.skin], axis=0)
        ratios = means[:3] / np.maximum(skin_rgb, 1.0)
    spread = np.stack([means, deviations], axis=1).ravel()
    return np.concatenate([spread, skewness, differences, ratios, _shares(lab)])


def _shares(lab: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    reference = np.array([list(_SIX.values())], np.float32) / 255
    targets = cv2.cvtColor(reference, cv2.COLOR_RGB2Lab)[0].astype(np.float64)
    # The squared length of the pixel is the same for every target.
    nearest = ((targets**2).sum(axis=1) - 2 * lab @ targets.T).argmin(axis=1)
    return np.bincount(nearest, minlength=len(targets)) / len(lab)
