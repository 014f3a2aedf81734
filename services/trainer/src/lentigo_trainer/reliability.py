"""Whether a probability means what it says: reliability diagram and calibration error.

After Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (ICML 2017):
the examples are sorted into bins by the probability of their answer (the confidence), and in each
bin the mean confidence is set against the share of right answers.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lentigo_trainer.answers import FloatArray, LabelArray, checked

BINS: Final = 15
"""Equal-width bins (l, h] over 0..1, as many as in Guo et al."""


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One bar of the diagram.

    Attributes:
        low: lower end of the confidences in it, exclusive.
        high: upper end, inclusive.
        n: examples in it.
        confidence: their mean confidence, None when n is 0.
        accuracy: the share of them answered rightly, None when n is 0.
    """

    low: float
    high: float
    n: int
    confidence: float | None
    accuracy: float | None


def confidence_bins(confidence: FloatArray, bins: int = BINS) -> NDArray[np.int64]:
    """Give each confidence, [n] in 0..1, the number of its bin, [n] in 0..bins - 1."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


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
    truth, probabilities = checked(truth, probabilities)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
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


def expected_calibration_error(
    truth: LabelArray, probabilities: FloatArray, bins: int = BINS
) -> float:
    """Mean distance of confidence from accuracy over the bins, weighted by their n, 0..1.

    Raises:
        MetricError: arrays of another shape or range.
    """
    filled = [bar for bar in reliability_diagram(truth, probabilities, bins) if bar.n]
    gaps = [bar.n * abs((bar.confidence or 0.0) - (bar.accuracy or 0.0)) for bar in filled]
    return sum(gaps) / sum(bar.n for bar in filled)
