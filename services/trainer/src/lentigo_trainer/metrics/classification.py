"""What a classifier is worth: pure functions on truth and probabilities.

Throughout, `truth` holds class numbers, shape [n], in the order of `labels.CODES`, and
`probabilities` has shape [n, 7], rows summing to 1. The answer to an example is its most probable
class. A figure that these data do not define is an error, never 0 and never NaN;
`evaluation.evaluate` turns it into "undefined" with the reason.

Every function raises `MetricError` for arrays that are not as above.

Whether a probability means what it says: reliability diagram and calibration error.

After Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (ICML 2017):
the examples are sorted into bins by the probability of their answer (the confidence), and in each
bin the mean confidence is set against the share of right answers.

The figures of `metrics`, for many resamples at once.

Each function takes weights [b, n], how often a resample holds each example, and gives the figure
for each of the b resamples, NaN where it is undefined there. With all weights 1 they agree with
`metrics` and `reliability`; a test holds them together.

Figures that depend on how scores are ranked, for many resamples at once; see `resampled`.

Examples of equal score form one block, since no threshold can part them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import sklearn.metrics
from numpy.typing import NDArray

from lentigo_contract.labels import CODES, index_of
from lentigo_trainer.errors import EmptyClassError, MetricError
from lentigo_trainer.metrics.arrays import (
    FloatArray,
    LabelArray,
    is_malignant,
    malignancy,
    validate_labels,
    validate_predictions,
)
from lentigo_trainer.metrics.bootstrap import Statistics


def accuracy(truth: LabelArray, probabilities: FloatArray) -> float:
    """Share of the examples whose answer is right, 0..1."""
    truth, probabilities = validate_predictions(truth, probabilities)
    return float(np.mean(probabilities.argmax(axis=1) == truth))


def majority_code(truth: LabelArray) -> str:
    """Name the most frequent class; of several, the first in label order."""
    return CODES[int(np.bincount(validate_labels(truth), minlength=len(CODES)).argmax())]


def majority_baseline(truth: LabelArray) -> float:
    """Accuracy of always answering the most frequent class, 0..1: what costs nothing to reach."""
    return float(np.mean(validate_labels(truth) == index_of(majority_code(truth))))


def present_codes(truth: LabelArray) -> tuple[str, ...]:
    """Name the classes that have at least one example, in label order."""
    counts = np.bincount(validate_labels(truth), minlength=len(CODES))
    return tuple(code for code, count in zip(CODES, counts, strict=True) if count)


def recall(truth: LabelArray, probabilities: FloatArray, code: str) -> float:
    """Share of a class's examples that are answered with it (its sensitivity), 0..1.

    Raises:
        EmptyClassError: the class has no example.
    """
    truth, probabilities = validate_predictions(truth, probabilities)
    members = truth == index_of(code)
    if not members.any():
        raise EmptyClassError(f"There is no example of {code}, so its recall is undefined.")
    return float(np.mean(probabilities[members].argmax(axis=1) == index_of(code)))


def melanoma_sensitivity(truth: LabelArray, probabilities: FloatArray) -> float:
    """Recall of melanoma, the miss that costs most.

    Raises:
        EmptyClassError: there is no melanoma.
    """
    return recall(truth, probabilities, "mel")


def precision(truth: LabelArray, probabilities: FloatArray, code: str) -> float:
    """Share of the answers naming a class that are right (its predictive value), 0..1.

    Raises:
        MetricError: no answer names the class.
    """
    truth, probabilities = validate_predictions(truth, probabilities)
    named = probabilities.argmax(axis=1) == index_of(code)
    if not named.any():
        raise MetricError(f"No answer names {code}, so its precision is undefined.")
    return float(np.mean(truth[named] == index_of(code)))


def balanced_accuracy(
    truth: LabelArray, probabilities: FloatArray, codes: Sequence[str] | None = None
) -> float:
    """Mean of the per-class recalls, 0..1: the metric of ISIC 2018 Task 3.

    Args:
        truth: see the module.
        probabilities: see the module.
        codes: the classes to average over; those that have an example when None, so say over how
            many (`present_codes`) wherever the figure is shown.

    Raises:
        EmptyClassError: a class asked for has no example.
    """
    asked = present_codes(truth) if codes is None else codes
    return float(np.mean([recall(truth, probabilities, code) for code in asked]))


def one_vs_rest_auc(truth: LabelArray, probabilities: FloatArray, code: str) -> float:
    """Area under the ROC curve of a class's probability against all other classes, 0..1.

    Raises:
        EmptyClassError: no example of the class, or of nothing else.
    """
    truth, probabilities = validate_predictions(truth, probabilities)
    index = index_of(code)
    return _auc(truth == index, probabilities[:, index], code, f"anything but {code}")


def macro_auc(
    truth: LabelArray, probabilities: FloatArray, codes: Sequence[str] | None = None
) -> float:
    """Mean of the one-vs-rest AUCs over the classes asked for, or those that have an example.

    Raises:
        EmptyClassError: a class asked for has no example, or only one class has any.
    """
    asked = present_codes(truth) if codes is None else codes
    return float(np.mean([one_vs_rest_auc(truth, probabilities, code) for code in asked]))


def malignant_auc(truth: LabelArray, probabilities: FloatArray) -> float:
    """Area under the ROC curve of mel + bcc + akiec against the four benign classes, 0..1.

    Raises:
        EmptyClassError: no malignant or no benign example.
    """
    truth, probabilities = validate_predictions(truth, probabilities)
    return _auc(is_malignant(truth), malignancy(probabilities), "a malignancy", "a benign lesion")


def brier_score(truth: LabelArray, probabilities: FloatArray) -> float:
    """Mean squared distance of the probabilities from the truth, 0 (best) to 2.

    Summed over the classes, as in Brier, "Verification of forecasts expressed in terms of
    probability" (Monthly Weather Review 78, 1950).
    """
    truth, probabilities = validate_predictions(truth, probabilities)
    wanted = np.eye(len(CODES))[truth]
    return float(((probabilities - wanted) ** 2).sum(axis=1).mean())


def log_loss(truth: LabelArray, probabilities: FloatArray) -> float:
    """Mean negative logarithm of the true class's probability, in nats (cross-entropy)."""
    truth, probabilities = validate_predictions(truth, probabilities)
    # Our rows may be off by a rounding; scikit-learn warns about anything but 1.
    rows = probabilities / probabilities.sum(axis=1, keepdims=True)
    return float(sklearn.metrics.log_loss(truth, rows, labels=np.arange(len(CODES))))


def confusion_matrix(truth: LabelArray, probabilities: FloatArray) -> NDArray[np.int64]:
    """Count truths (rows) against answers (columns): int64 [7, 7], in label order."""
    truth, probabilities = validate_predictions(truth, probabilities)
    answers = probabilities.argmax(axis=1)
    counts = sklearn.metrics.confusion_matrix(truth, answers, labels=np.arange(len(CODES)))
    return np.asarray(counts, dtype=np.int64)


def _auc(positive: NDArray[np.bool_], score: FloatArray, name: str, other: str) -> float:
    for side, what in ((positive, name), (~positive, other)):
        if not side.any():
            raise EmptyClassError(f"There is no example of {what}, so the AUC is undefined.")
    return float(sklearn.metrics.roc_auc_score(positive, score))


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
    truth, probabilities = validate_predictions(truth, probabilities)
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


BoolArray = NDArray[np.bool_]


def statistics_of(truth: LabelArray, probabilities: FloatArray) -> Statistics:
    """Prepare all figures of one evaluation; keys are those of `Evaluation`, classes as "auc mel".

    The majority class and the classes averaged over are those of the whole data, in every
    resample; a resample that lacks one of them does not define the average.
    """
    answers = probabilities.argmax(axis=1)
    right = answers == truth
    picked = probabilities[np.arange(truth.size), truth]
    # The floor is scikit-learn's: a probability of 0 costs 36 nats, not infinity.
    nats = -np.log(np.maximum(picked, np.finfo(np.float64).eps))
    squares = ((probabilities - np.eye(len(CODES))[truth]) ** 2).sum(axis=1)
    majority = truth == index_of(majority_code(truth))
    present = present_codes(truth)

    def statistics(weights: FloatArray) -> Mapping[str, FloatArray]:
        found = {
            "accuracy": mean(right, weights),
            "majority_baseline": mean(majority, weights),
            "brier": mean(squares, weights),
            "log_loss": mean(nats, weights),
            "expected_calibration_error": calibration_error(
                probabilities.max(axis=1), right, weights
            ),
            "malignant_auc": auc(is_malignant(truth), malignancy(probabilities), weights),
        }
        for index, code in enumerate(CODES):
            found[f"recall {code}"] = mean(right, weights, among=truth == index)
            found[f"precision {code}"] = mean(right, weights, among=answers == index)
            found[f"auc {code}"] = auc(truth == index, probabilities[:, index], weights)
        found["melanoma_sensitivity"] = found["recall mel"]
        found["balanced_accuracy"] = _average([found[f"recall {code}"] for code in present])
        found["macro_auc"] = _average([found[f"auc {code}"] for code in present])
        return found

    return statistics


def mean(
    values: FloatArray | BoolArray, weights: FloatArray, among: BoolArray | None = None
) -> FloatArray:
    """Average values [n] over the examples, or over those `among`, in each resample."""
    counted = np.ones(values.size) if among is None else among.astype(np.float64)
    return ratio(weights @ (values * counted), weights @ counted)


def auc(positive: BoolArray, score: FloatArray, weights: FloatArray) -> FloatArray:
    """Area under the ROC curve as the chance that a positive outscores a negative; ties half."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf))
    ordered = weights[:, order]
    positives = np.add.reduceat(ordered * positive[order], starts, axis=1)
    negatives = np.add.reduceat(ordered * ~positive[order], starts, axis=1)
    beaten = np.cumsum(negatives, axis=1) - negatives / 2
    pairs = positives.sum(axis=1) * negatives.sum(axis=1)
    return ratio((positives * beaten).sum(axis=1), pairs)


def calibration_error(
    confidence: FloatArray, right: BoolArray, weights: FloatArray, bins: int = BINS
) -> FloatArray:
    """Expected calibration error of each resample; see `reliability`."""
    inside = confidence_bins(confidence, bins)[:, None] == np.arange(bins)
    gaps = weights @ (inside * (confidence - right)[:, None])
    return ratio(abs(gaps).sum(axis=1), weights.sum(axis=1))


def _average(figures: list[FloatArray]) -> FloatArray:
    average: FloatArray = np.stack(figures).mean(axis=0)
    return average


def ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    """Divide, giving NaN where there is nothing to divide by."""
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)


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
