"""Calibration of the predictions: reliability diagram and expected calibration error.

After Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (ICML 2017). The
examples are sorted into bins by confidence, the probability of the predicted class. In each bin the
mean confidence is compared with the share of right predictions.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lentigo_trainer.metrics.arrays import BoolArray, FloatArray, LabelArray, validate_predictions
from lentigo_trainer.metrics.bootstrap import ratio

BINS: Final = 15
"""Equal-width bins (l, h] over 0..1, as many as in Guo et al."""


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One bar of the diagram.

    Attributes:
        low: lower end of its confidences, exclusive.
        high: upper end, inclusive.
        n: examples in it.
        confidence: their mean confidence; None when n is 0.
        accuracy: the share of right predictions; None when n is 0.
    """

    low: float
    high: float
    n: int
    confidence: float | None
    accuracy: float | None


def reliability_diagram(
    truth: LabelArray, probabilities: FloatArray, bins: int = BINS
) -> tuple[ReliabilityBin, ...]:
    """Sort the examples into bins by confidence.

    Args:
        truth: class numbers, shape [n].
        probabilities: shape [n, 7]; rows sum to 1.
        bins: how many bins of equal width.

    Raises:
        MetricError: arrays of another shape or range.
    """
    truth, probabilities = validate_predictions(truth, probabilities)
    right = probabilities.argmax(axis=1) == truth
    return reliability_of(probabilities.max(axis=1), right, bins)


def reliability_of(
    confidence: FloatArray, right: BoolArray, bins: int = BINS
) -> tuple[ReliabilityBin, ...]:
    """Sort the probabilities of an event into bins.

    Args:
        confidence: probability that the event happens, [n], 0..1.
        right: whether it did, [n].
        bins: how many bins of equal width.
    """
    places = confidence_bins(confidence, bins)
    result = []
    for place in range(bins):
        inside = places == place
        n = int(inside.sum())
        result.append(
            ReliabilityBin(
                low=place / bins,
                high=(place + 1) / bins,
                n=n,
                confidence=float(confidence[inside].mean()) if n else None,
                accuracy=float(right[inside].mean()) if n else None,
            )
        )
    return tuple(result)


def calibration_error(
    confidence: FloatArray, right: BoolArray, weights: FloatArray, bins: int = BINS
) -> FloatArray:
    """Expected calibration error, 0..1: [b].

    The mean distance of confidence from accuracy over the bins, weighted by their examples.

    Args:
        confidence: probability of each prediction, [n].
        right: whether it was right, [n].
        weights: [b, n]; see `weighted`.
        bins: how many bins of equal width.
    """
    inside = confidence_bins(confidence, bins)[:, None] == np.arange(bins)
    gaps = weights @ (inside * (confidence - right)[:, None])
    return ratio(abs(gaps).sum(axis=1), weights.sum(axis=1))


def confidence_bins(confidence: FloatArray, bins: int = BINS) -> NDArray[np.int64]:
    """Return the bin of each confidence: [n] in 0..1 to [n] in 0..bins - 1."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
