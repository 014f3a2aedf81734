"""The features of each system, from an image's pixels.

Xie et al. have 57 features of colour, texture and border; here 27, 20 and 10. Aswin et al. have
co-occurrence matrices and "RGB colour features"; here the four properties that MATLAB's
`graycoprops` gives, over four directions, and three moments of each channel.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from skimage.feature import graycoprops

from lentigo_contract.segmentation import classical
from lentigo_contract.segmentation.hair import remove_hairs
from lentigo_contract.segmentation.morphology import Bytes
from lentigo_contract.segmentation.region import Segmentation
from lentigo_trainer.baselines.features.border import BORDER_NAMES, border_features
from lentigo_trainer.baselines.features.colour import COLOUR_NAMES, colour_features
from lentigo_trainer.baselines.features.lesion import Lesion, describe_lesion
from lentigo_trainer.baselines.features.texture import (
    TEXTURE_NAMES,
    co_occurrences,
    texture_features,
)
from lentigo_trainer.errors import FeatureError
from lentigo_trainer.segmentation import neural

Floats = npt.NDArray[np.float64]

System = Literal["xie", "aswin"]

_FOUR: Final = ("contrast", "correlation", "energy", "homogeneity")


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """How one system sees an image.

    Attributes:
        version: change it whenever the same image gives other numbers: kept features are redone.
        groups: the names of the features, by what they describe; in this order.
        segment: finds the lesion in pixels without hairs.
        compute: the features of a lesion, as many as names.
    """

    version: int
    groups: dict[str, tuple[str, ...]]
    segment: Callable[[Bytes], Segmentation]
    compute: Callable[[Lesion], Floats]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all features."""
        return tuple(name for names in self.groups.values() for name in names)

    def without(self, group: str) -> npt.NDArray[np.bool_]:
        """Return which features are not of a group, [k]."""
        return np.repeat([name != group for name in self.groups], [*map(len, self.groups.values())])


def _xie(lesion: Lesion) -> Floats:
    return np.concatenate(
        [colour_features(lesion), texture_features(lesion), border_features(lesion)]
    )


def _aswin(lesion: Lesion) -> Floats:
    pairs = co_occurrences(lesion, (1,))
    values = np.stack([graycoprops(pairs, name)[0] for name in _FOUR])
    rgb = lesion.pixels[lesion.mask].astype(np.float64)
    means, deviations = rgb.mean(axis=0), rgb.std(axis=0)
    skewness = ((rgb - means) ** 3).mean(axis=0) / np.maximum(deviations, 1.0) ** 3
    texture = [values.mean(axis=1), np.ptp(values, axis=1)]
    return np.concatenate([*texture, means, deviations, skewness])


FEATURE_SETS: Final[dict[System, FeatureSet]] = {
    "xie": FeatureSet(
        version=2,
        groups={"colour": COLOUR_NAMES, "texture": TEXTURE_NAMES, "border": BORDER_NAMES},
        segment=neural.segment_without_hairs,
        compute=_xie,
    ),
    "aswin": FeatureSet(
        version=2,
        groups={
            "texture": (*_FOUR, *(f"range of {name} over directions" for name in _FOUR)),
            "colour": tuple(
                f"{what} of {channel}"
                for what in ("mean", "deviation", "skewness")
                for channel in "RGB"
            ),
        },
        segment=classical.segment_without_hairs,
        compute=_aswin,
    ),
}


def features_of(system: System, pixels: Bytes) -> tuple[Floats, bool]:
    """Remove hairs, find the lesion and describe it.

    Args:
        system: whose features.
        pixels: uint8 [height, width, 3], sRGB, of the size of `size.working_image`.

    Returns:
        float64 [k], all finite, and whether a lesion was found.

    Raises:
        FeatureError: a feature is not finite.
    """
    chosen = FEATURE_SETS[system]
    clean = remove_hairs(pixels).pixels
    lesion = describe_lesion(clean, chosen.segment(clean))
    return require_finite(chosen.compute(lesion), chosen.names), lesion.found


def require_finite(values: Floats, names: tuple[str, ...]) -> Floats:
    """Return the features.

    Raises:
        FeatureError: one is not finite; the message names it.
    """
    bad = [name for name, value in zip(names, values, strict=True) if not np.isfinite(value)]
    if bad:
        raise FeatureError(
            f"A feature is not finite: {', '.join(bad)}. Leave the image out and report it."
        )
    return values
