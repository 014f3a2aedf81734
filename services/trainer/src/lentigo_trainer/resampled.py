"""The figures of `metrics`, for many resamples at once.

Each function takes weights [b, n], how often a resample holds each example, and gives the figure
for each of the b resamples, NaN where it is undefined there. With all weights 1 they agree with
`metrics` and `reliability`; a test holds them together.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lentigo_contract.labels import CODES, index_of
from lentigo_trainer.answers import FloatArray, LabelArray, is_malignant, malignancy
from lentigo_trainer.intervals import Statistics
from lentigo_trainer.metrics import majority_code, present_codes
from lentigo_trainer.reliability import BINS, confidence_bins

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
