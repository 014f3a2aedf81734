"""Figures that depend on how scores are ranked, for many resamples at once; see `resampled`.

Examples of equal score form one block, since no threshold can part them.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lentigo_trainer.answers import FloatArray
from lentigo_trainer.resampled import BoolArray, ratio

# Asks for 19 of 20 examples at 0.95, also where the product is a rounding above 19.
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


def average_precision(positive: BoolArray, score: FloatArray, weights: FloatArray) -> FloatArray:
    """Mean of the precisions at every threshold, weighted by the gain in recall: [b].

    As in scikit-learn's `average_precision_score`: no interpolation.
    """
    ranking = Ranking(score)
    found = ranking.sums(positive, weights)
    named = ranking.sums(np.ones(positive.size), weights)
    gained = ranking.blocks(positive, weights)
    return ratio((gained * _share(found, named)).sum(axis=1), found[:, -1])


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


def _share(part: FloatArray, whole: FloatArray) -> FloatArray:
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)


def risk_at(
    coverages: NDArray[np.float64], confidence: FloatArray, wrong: BoolArray, weights: FloatArray
) -> FloatArray:
    """Share of wrong answers among the surest ones: [b, len(coverages)].

    Where a coverage parts examples of equal confidence, their mean is taken.

    Args:
        coverages: shares of all examples, above 0 and at most 1.
        confidence: probability of each answer, [n].
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
    """Mean of the risks at every coverage: [b].

    Geifman, Uziel and El-Yaniv, "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers"
    (ICLR 2019), section 3.
    """
    ranking = Ranking(confidence)
    ones = np.ones(wrong.size)
    covered = ranking.sums(ones, weights)
    risks = _share(ranking.sums(wrong, weights), covered)
    return ratio((ranking.blocks(ones, weights) * risks).sum(axis=1), covered[:, -1])
