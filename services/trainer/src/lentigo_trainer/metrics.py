"""What a classifier is worth: pure functions on truth and probabilities.

Throughout, `truth` holds class numbers, shape [n], in the order of `labels.CODES`, and
`probabilities` has shape [n, 7], rows summing to 1. The answer to an example is its most probable
class. A figure that these data do not define is an error, never 0 and never NaN;
`evaluation.evaluate` turns it into "undefined" with the reason.

Every function raises `MetricError` for arrays that are not as above.
"""

from collections.abc import Sequence

import numpy as np
import sklearn.metrics
from numpy.typing import NDArray

from lentigo_contract.errors import EmptyClassError, MetricError
from lentigo_contract.labels import CODES, index_of
from lentigo_trainer.answers import (
    FloatArray,
    LabelArray,
    checked,
    checked_truth,
    is_malignant,
    malignancy,
)


def accuracy(truth: LabelArray, probabilities: FloatArray) -> float:
    """Share of the examples whose answer is right, 0..1."""
    truth, probabilities = checked(truth, probabilities)
    return float(np.mean(probabilities.argmax(axis=1) == truth))


def majority_code(truth: LabelArray) -> str:
    """Name the most frequent class; of several, the first in label order."""
    return CODES[int(np.bincount(checked_truth(truth), minlength=len(CODES)).argmax())]


def majority_baseline(truth: LabelArray) -> float:
    """Accuracy of always answering the most frequent class, 0..1: what costs nothing to reach."""
    return float(np.mean(checked_truth(truth) == index_of(majority_code(truth))))


def present_codes(truth: LabelArray) -> tuple[str, ...]:
    """Name the classes that have at least one example, in label order."""
    counts = np.bincount(checked_truth(truth), minlength=len(CODES))
    return tuple(code for code, count in zip(CODES, counts, strict=True) if count)


def recall(truth: LabelArray, probabilities: FloatArray, code: str) -> float:
    """Share of a class's examples that are answered with it (its sensitivity), 0..1.

    Raises:
        EmptyClassError: the class has no example.
    """
    truth, probabilities = checked(truth, probabilities)
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
    truth, probabilities = checked(truth, probabilities)
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
    truth, probabilities = checked(truth, probabilities)
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
    truth, probabilities = checked(truth, probabilities)
    return _auc(is_malignant(truth), malignancy(probabilities), "a malignancy", "a benign lesion")


def brier_score(truth: LabelArray, probabilities: FloatArray) -> float:
    """Mean squared distance of the probabilities from the truth, 0 (best) to 2.

    Summed over the classes, as in Brier, "Verification of forecasts expressed in terms of
    probability" (Monthly Weather Review 78, 1950).
    """
    truth, probabilities = checked(truth, probabilities)
    wanted = np.eye(len(CODES))[truth]
    return float(((probabilities - wanted) ** 2).sum(axis=1).mean())


def log_loss(truth: LabelArray, probabilities: FloatArray) -> float:
    """Mean negative logarithm of the true class's probability, in nats (cross-entropy)."""
    truth, probabilities = checked(truth, probabilities)
    # Our rows may be off by a rounding; scikit-learn warns about anything but 1.
    rows = probabilities / probabilities.sum(axis=1, keepdims=True)
    return float(sklearn.metrics.log_loss(truth, rows, labels=np.arange(len(CODES))))


def confusion_matrix(truth: LabelArray, probabilities: FloatArray) -> NDArray[np.int64]:
    """Count truths (rows) against answers (columns): int64 [7, 7], in label order."""
    truth, probabilities = checked(truth, probabilities)
    answers = probabilities.argmax(axis=1)
    counts = sklearn.metrics.confusion_matrix(truth, answers, labels=np.arange(len(CODES)))
    return np.asarray(counts, dtype=np.int64)


def _auc(positive: NDArray[np.bool_], score: FloatArray, name: str, other: str) -> float:
    for side, what in ((positive, name), (~positive, other)):
        if not side.any():
            raise EmptyClassError(f"There is no example of {what}, so the AUC is undefined.")
    return float(sklearn.metrics.roc_auc_score(positive, score))
