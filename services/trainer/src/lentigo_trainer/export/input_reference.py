"""Measure how the images look that a version is measured on, for its manifest."""

from collections.abc import Iterable

import numpy as np

from lentigo_contract.imaging.quality import LEAST_SIDE, ImageQuality, assess_quality
from lentigo_contract.manifest.input_reference import LEVELS, InputReference, Quantiles
from lentigo_contract.manifest.manifest import OodThreshold
from lentigo_engines.base import Floats, Images
from lentigo_trainer.metrics.arrays import FloatArray


def measure_input(
    images: Iterable[Images],
    unlikeness: Floats | None,
    threshold: OodThreshold | None,
    description: str,
) -> InputReference:
    """Measure images as the service measures those that it is sent.

    Args:
        images: n of them, at least one; uint8 [224, 224, 3] each. They should not have trained the
            network, to which training images are less unlike than others.
        unlikeness: of each, [n], by the exported model; None if it has no such output.
        threshold: above which an image cannot be judged, if the version has one.
        description: the images, in words.
    """
    # Original sizes were not kept; no image of HAM10000 is too small to judge.
    found = [assess_quality(pixels, LEAST_SIDE, LEAST_SIDE) for pixels in images]
    distances = None if unlikeness is None else np.asarray(unlikeness, np.float64)
    return InputReference(
        images=description,
        n=len(found),
        refused=_refused(found, distances, threshold),
        brightness=_quantiles(np.array([each.brightness for each in found])),
        sharpness=_quantiles(np.array([each.sharpness for each in found])),
        unlikeness=None if distances is None else _quantiles(distances),
    )


def _refused(
    found: list[ImageQuality], unlikeness: FloatArray | None, threshold: OodThreshold | None
) -> int:
    refused = np.array([bool(each.issues) for each in found])
    if unlikeness is not None and threshold is not None:
        refused |= unlikeness > threshold.limit
    return int(refused.sum())


def _quantiles(values: FloatArray) -> Quantiles:
    # More digits than the images are apart would only make the manifest longer.
    return tuple(float(f"{value:.6g}") for value in np.quantile(values, LEVELS))
