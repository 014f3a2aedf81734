"""Metrics that depend only on how scores rank the examples, under weights [b, n].

No threshold can separate examples of equal score, so they are treated as one block. See `weighted`
for the weights.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lentigo_trainer.metrics.arrays import BoolArray, FloatArray
from lentigo_trainer.metrics.bootstrap import ratio

# 0.95 of 20 examples must ask for 19 of them, even if the product is rounded to just above 19.
_ROUNDING: Final = 1e-9


class Ranking:
    """Examples in blocks of equal score, highest first."""

    def __init__(self, score: FloatArray) -> None:
        self._order = np.argsort(-score, kind="stable")
        self._starts = np.flatnonzero(np.diff(score[self._order], prepend=np.inf))

    def blocks(self, values: FloatArray | BoolArray, weights: FloatArray) -> FloatArray:
        """Sum values [n] in each block, weighted by [b, n]: [b, blocks]."""
        weighted = weights[:, self._order] * values[self._order]
        summed: FloatArray = np.add.reduceat(weighted, self._starts, axis=1)
        return summed

    def sums(self, values: FloatArray | BoolArray, weights: FloatArray) -> FloatArray:
        """Sum values [n] from the highest score to the end of each block: [b, blocks]."""
        return self.blocks(values, weights).cumsum(axis=1)


def auc(positive: BoolArray, score: FloatArray, weights: FloatArray) -> FloatArray:
    """Area under the ROC curve, 0..1: [b].

    The probability that a positive example scores above a negative one; a tie counts half.

    Args:
        positive: which examples are positive, [n].
        score: [n], finite; higher means positive.
        weights: [b, n].
    """
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf))
    ordered = weights[:, order]
    positives = np.add.reduceat(ordered * positive[order], starts, axis=1)
    negatives = np.add.reduceat(ordered * ~positive[order], starts, axis=1)
    beaten = np.cumsum(negatives, axis=1) - negatives / 2
    pairs = positives.sum(axis=1) * negatives.sum(axis=1)
    return ratio((positives * beaten).sum(axis=1), pairs)


def average_precision(positive: BoolArray, score: FloatArray, weights: FloatArray) -> FloatArray:
    """Mean of the precisions at every threshold, weighted by the gain in recall, 0..1: [b].

    Without interpolation, as in scikit-learn's `average_precision_score`.
    """
    ranking = Ranking(score)
    found = ranking.sums(positive, weights)
    predicted = ranking.sums(np.ones(positive.size), weights)
    gained = ranking.blocks(positive, weights)
    return ratio((gained * _share(found, predicted)).sum(axis=1), found[:, -1])


def specificity_at(
    sensitivity: float, positive: BoolArray, score: FloatArray, weights: FloatArray
) -> FloatArray:
    """Specificity at the highest threshold that reaches a sensitivity, 0..1: [b].

    A point of the empirical ROC curve; nothing is interpolated.
    """
    ranking = Ranking(score)
    found = ranking.sums(positive, weights)
    alarms = ranking.sums(~positive, weights)
    reached = found >= sensitivity * found[:, -1:] - _ROUNDING
    first = reached.argmax(axis=1)
    false = np.take_along_axis(alarms, first[:, None], axis=1)[:, 0]
    specificity = 1 - ratio(false, alarms[:, -1])
    specificity[found[:, -1] <= 0] = np.nan
    return specificity


def risk_at(
    coverages: NDArray[np.float64], confidence: FloatArray, wrong: BoolArray, weights: FloatArray
) -> FloatArray:
    """Share of wrong predictions among the most confident ones, 0..1: [b, len(coverages)].

    Where a coverage ends within a block of equal confidence, the block's mean error is used.

    Args:
        coverages: shares of all examples, above 0 and at most 1.
        confidence: probability of each prediction, [n].
        wrong: whether it was wrong, [n].
        weights: [b, n].
    """
    ranking = Ranking(confidence)
    covered = np.pad(ranking.sums(np.ones(wrong.size), weights), ((0, 0), (1, 0)))
    errors = np.pad(ranking.sums(wrong, weights), ((0, 0), (1, 0)))
    wanted = coverages * covered[:, -1:]
    rows = zip(wanted, covered, errors, strict=True)
    return ratio(np.array([np.interp(*row) for row in rows]), wanted)


def area_under_risk(confidence: FloatArray, wrong: BoolArray, weights: FloatArray) -> FloatArray:
    """Mean of the risks at every coverage, 0..1: [b].

    Geifman, Uziel and El-Yaniv, "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers"
    (ICLR 2019), section 3.
    """
    ranking = Ranking(confidence)
    ones = np.ones(wrong.size)
    covered = ranking.sums(ones, weights)
    risks = _share(ranking.sums(wrong, weights), covered)
    return ratio((ranking.blocks(ones, weights) * risks).sum(axis=1), covered[:, -1])


def _share(part: FloatArray, whole: FloatArray) -> FloatArray:
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)
