"""How well a classifier predicts the seven diagnoses.

Throughout, `truth` holds class numbers, shape [n], in the order of `labels.CODES`, and
`probabilities` has shape [n, 7] with rows that sum to 1. The prediction for an example is its most
probable class, unless other predictions are given. Functions raise `MetricError` for any other
arrays.

Each metric is written once, in `ClassificationMetrics`; `bootstrap.estimates` turns it into a value
with its interval.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
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
from lentigo_trainer.metrics.bootstrap import Basis, mean
from lentigo_trainer.metrics.ranking import auc
from lentigo_trainer.metrics.reliability import calibration_error

_EPSILON: Final = np.finfo(np.float64).eps
"""Least probability in the log loss, as in scikit-learn: 0 costs 36 nats, not infinity."""


DECIDED: Final = ("accuracy", "balanced_accuracy", "melanoma_sensitivity")
"""Metrics of the decisions as a whole."""


class ClassificationMetrics:
    """The metrics of n predictions, under any weights.

    They are named as the fields of `evaluation.summary.Evaluation`; those of one class have its
    code behind the name:

    - accuracy: share of right predictions, 0..1.
    - majority_baseline: accuracy of always predicting the most frequent class.
    - recall mel: share of a class's examples that are predicted as such (its sensitivity).
    - precision mel: share of the predictions of a class that are right.
    - auc mel: area under the ROC curve of a class's probability against all other classes.
    - melanoma_sensitivity: recall of melanoma.
    - probable accuracy, probable balanced_accuracy, probable melanoma_sensitivity: the same of the
      most probable class, whatever was predicted.
    - balanced_accuracy: mean recall of the classes present, the metric of ISIC 2018 Task 3.
    - macro_auc: mean AUC of the classes present.
    - malignant_auc: AUC of the probability of malignancy against the four benign classes.
    - malignant_calibration_error: of that probability, against the share of malignant examples.
    - brier: squared distance of the probabilities from the truth, summed over the classes, 0 (best)
      to 2. Brier, "Verification of forecasts expressed in terms of probability" (Monthly Weather
      Review 78, 1950).
    - log_loss: negative logarithm of the true class's probability, in nats (cross-entropy).
    - expected_calibration_error: of the most probable class; see `reliability`.

    The majority class and the classes averaged over are those of the whole data, in every resample;
    a resample that lacks one of them does not define the average.

    Attributes:
        truth: class numbers, int64 [n].
        probabilities: float64 [n, 7].
        probable: class number of each most probable class, [n].
        predicted: class number of each prediction, [n].
        malignancy: probability of malignancy of each example, [n].

    Raises:
        MetricError: arrays of another shape or range, or no examples.
    """

    def __init__(
        self,
        truth: LabelArray,
        probabilities: FloatArray,
        predicted: LabelArray | None = None,
        malignant: FloatArray | None = None,
    ) -> None:
        """Validate the arrays.

        Args:
            truth: see the module.
            probabilities: see the module.
            predicted: class number of each prediction, [n]; by default the most probable.
            malignant: probability of malignancy, [n]; by default the sum over mel, bcc and akiec.
        """
        self.truth, self.probabilities = validate_predictions(truth, probabilities)
        self.probable = self.probabilities.argmax(axis=1)
        self.predicted = self.probable if predicted is None else validate_labels(predicted)
        self.malignancy = malignancy(self.probabilities) if malignant is None else malignant
        for each in (self.predicted, self.malignancy):
            if each.shape != self.truth.shape:
                raise MetricError(f"There are {each.shape} predictions for {self.truth.shape}.")

    def statistics(self, weights: FloatArray) -> Mapping[str, FloatArray]:
        """Compute every metric in each resample.

        Args:
            weights: [b, n]; see `weighted`.

        Returns:
            Names to values, [b]; NaN where a resample does not define one.
        """
        truth, probabilities, predicted = self.truth, self.probabilities, self.predicted
        majority = truth == index_of(majority_code(truth))
        malignant = is_malignant(truth)
        found = {
            "majority_baseline": mean(majority, weights),
            "brier": mean(self._squared_distances(), weights),
            "log_loss": mean(self._cross_entropies(), weights),
            "expected_calibration_error": calibration_error(
                probabilities.max(axis=1), self.probable == truth, weights
            ),
            "malignant_auc": auc(malignant, self.malignancy, weights),
            "malignant_calibration_error": calibration_error(self.malignancy, malignant, weights),
        }
        for index, code in enumerate(CODES):
            found[f"precision {code}"] = mean(predicted == truth, weights, predicted == index)
            found[f"auc {code}"] = auc(truth == index, probabilities[:, index], weights)
        found["macro_auc"] = np.mean(
            [found[f"auc {code}"] for code in present_codes(truth)], axis=0
        )
        decided = self._hits(predicted, weights)
        same = np.array_equal(predicted, self.probable)
        probable = decided if same else self._hits(self.probable, weights)
        return found | decided | {f"probable {name}": probable[name] for name in DECIDED}

    def _hits(self, predicted: LabelArray, weights: FloatArray) -> dict[str, FloatArray]:
        """Compute the metrics of decisions, whatever the probabilities."""
        right = predicted == self.truth
        found = {
            f"recall {code}": mean(right, weights, among=self.truth == index)
            for index, code in enumerate(CODES)
        }
        recalls = [found[f"recall {code}"] for code in present_codes(self.truth)]
        return found | {
            "accuracy": mean(right, weights),
            "balanced_accuracy": np.mean(recalls, axis=0),
            "melanoma_sensitivity": found["recall mel"],
        }

    @cached_property
    def bases(self) -> dict[str, Basis]:
        """What each metric rests on, and why it is undefined if it is."""
        n = self.truth.size
        members = np.bincount(self.truth, minlength=len(CODES)).tolist()
        predictions = np.bincount(self.predicted, minlength=len(CODES)).tolist()
        malignant = int(is_malignant(self.truth).sum())
        alone = f"anything but {majority_code(self.truth)}"
        bases = dict.fromkeys(
            (
                *("accuracy", "majority_baseline", "balanced_accuracy"),
                *("probable accuracy", "probable balanced_accuracy"),
                *("brier", "log_loss", "expected_calibration_error", "malignant_calibration_error"),
            ),
            Basis(n, "undefined"),
        )
        bases["macro_auc"] = Basis(n, _no_curve(alone))
        bases["malignant_auc"] = Basis(
            malignant, _no_curve("a benign lesion" if malignant else "a malignancy")
        )
        for code, examples, named in zip(CODES, members, predictions, strict=True):
            bases[f"recall {code}"] = Basis(
                examples, f"There is no example of {code}, so its recall is undefined."
            )
            bases[f"precision {code}"] = Basis(
                named, f"No answer names {code}, so its precision is undefined."
            )
            missing = f"anything but {code}" if examples else code
            bases[f"auc {code}"] = Basis(examples, _no_curve(missing))
        bases["melanoma_sensitivity"] = bases["probable melanoma_sensitivity"] = bases["recall mel"]
        return bases

    def value(self, name: str) -> float:
        """Return one metric of all examples.

        Raises:
            EmptyClassError: a class that it needs has no example.
            MetricError: the precision of a class that is never predicted.
        """
        value = float(self._values[name][0])
        if np.isnan(value):
            never_predicted = name.startswith("precision")
            raise (MetricError if never_predicted else EmptyClassError)(self.bases[name].missing)
        return value

    @cached_property
    def _values(self) -> Mapping[str, FloatArray]:
        return self.statistics(np.ones((1, self.truth.size)))

    def _squared_distances(self) -> FloatArray:
        gaps = self.probabilities - np.eye(len(CODES))[self.truth]
        distances: FloatArray = (gaps**2).sum(axis=1)
        return distances

    def _cross_entropies(self) -> FloatArray:
        of_truth = self.probabilities[np.arange(self.truth.size), self.truth]
        # Rows may be off by a rounding.
        shares = of_truth / self.probabilities.sum(axis=1)
        nats: FloatArray = -np.log(np.clip(shares, _EPSILON, 1 - _EPSILON))
        return nats


def accuracy(truth: LabelArray, probabilities: FloatArray) -> float:
    """Return the share of right predictions, 0..1."""
    return ClassificationMetrics(truth, probabilities).value("accuracy")


def balanced_accuracy(
    truth: LabelArray, probabilities: FloatArray, codes: Sequence[str] | None = None
) -> float:
    """Return the mean of the per-class recalls, 0..1: the metric of ISIC 2018 Task 3.

    Args:
        truth: see the module.
        probabilities: see the module.
        codes: the classes to average over; those that have an example when None, so say how many
            they are (`present_codes`) wherever the value is shown.

    Raises:
        EmptyClassError: a class asked for has no example.
    """
    metrics = ClassificationMetrics(truth, probabilities)
    averaged = present_codes(truth) if codes is None else codes
    return float(np.mean([metrics.value(f"recall {code}") for code in averaged]))


def majority_code(truth: LabelArray) -> str:
    """Return the code of the most frequent class; of several, the first in label order."""
    return CODES[int(np.bincount(validate_labels(truth), minlength=len(CODES)).argmax())]


def present_codes(truth: LabelArray) -> tuple[str, ...]:
    """Return the codes of the classes that have at least one example, in label order."""
    counts = np.bincount(validate_labels(truth), minlength=len(CODES))
    return tuple(code for code, count in zip(CODES, counts, strict=True) if count)


def confusion_matrix(
    truth: LabelArray, probabilities: FloatArray, predicted: LabelArray | None = None
) -> NDArray[np.int64]:
    """Count true classes (rows) against predictions (columns): int64 [7, 7], in label order."""
    truth, probabilities = validate_predictions(truth, probabilities)
    if predicted is None:
        predicted = probabilities.argmax(axis=1)
    counts = sklearn.metrics.confusion_matrix(truth, predicted, labels=np.arange(len(CODES)))
    return np.asarray(counts, dtype=np.int64)


def _no_curve(missing: str) -> str:
    return f"There is no example of {missing}, so the AUC is undefined."
