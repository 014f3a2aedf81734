"""What out-of-fold answers are worth, and how two recipes compare by them.

Calibration and referral are cross-validated too: those of one fold are fitted on the others, so no
answer is measured by what was fitted to it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lentigo_contract.decision import decide, malignant_probability
from lentigo_contract.labels import CODES
from lentigo_contract.wording import pluralize
from lentigo_trainer.calibration.operating_point import choose_operating_point
from lentigo_trainer.calibration.out_of_fold import calibrate_out_of_fold
from lentigo_trainer.calibration.temperature import calibrated
from lentigo_trainer.data.out_of_fold import OutOfFold
from lentigo_trainer.errors import EvaluationReportError
from lentigo_trainer.metrics.arrays import BoolArray, FloatArray, LabelArray, is_malignant
from lentigo_trainer.metrics.bootstrap import Basis, Estimate, Resampling, estimates, mean
from lentigo_trainer.metrics.classification import ClassificationMetrics
from lentigo_trainer.metrics.out_of_fold import OutOfFoldMetrics

MEASURED: Final = (
    "balanced_accuracy",
    "accuracy",
    "probable balanced_accuracy",
    "probable accuracy",
    "malignant_auc",
    "malignant_calibration_error",
    "expected_calibration_error",
    "log_loss",
    "referral sensitivity",
    "referral specificity",
    *(f"recall {code}" for code in CODES),
)
"""Metrics of out-of-fold answers; those without "probable" are of the decision for balance."""


@dataclass(frozen=True, slots=True)
class CrossValidated:
    """Out-of-fold answers with what was fitted on the other folds.

    Attributes:
        rows: of the data set, [n], ascending.
        probabilities: float64 [n, 7], rows sum to 1.
        diagnoses: class number of each diagnosis, decided for balance, [n].
        malignancy: probability of malignancy, [n].
        referred: whether it reaches the threshold, [n].
    """

    rows: npt.NDArray[np.intp]
    probabilities: FloatArray
    diagnoses: LabelArray
    malignancy: FloatArray
    referred: BoolArray

    def only(self, rows: npt.NDArray[np.intp]) -> "CrossValidated":
        """Return the answers for some rows of the data set, all of them among `rows`."""
        places = np.searchsorted(self.rows, rows)
        return CrossValidated(
            rows,
            self.probabilities[places],
            self.diagnoses[places],
            self.malignancy[places],
            self.referred[places],
        )


def cross_validate(
    answers: OutOfFold, labels: npt.NDArray[np.int64], lesions: npt.NDArray[np.str_]
) -> CrossValidated:
    """Calibrate and decide each fold's answers by what the other folds say.

    Args:
        answers: of at least two folds.
        labels: class of every image of the data set.
        lesions: the lesion of every image of the data set.

    Raises:
        EvaluationReportError: fewer than two folds.
        EmptyClassError: the other folds have no malignant or no benign image.
    """
    numbers = np.unique(answers.fold)
    if len(numbers) < 2:
        raise EvaluationReportError(
            f"Out-of-fold answers of {pluralize(len(numbers), 'fold')} cannot be cross-validated; "
            "train another."
        )
    count = len(answers.rows)
    probabilities = np.empty((count, len(CODES)))
    diagnoses = np.empty(count, np.int64)
    malignancy = np.empty(count)
    referred = np.empty(count, np.bool_)
    for number in numbers:
        own = answers.fold == number
        rest = OutOfFold(answers.rows[~own], answers.fold[~own], answers.logits[~own], None)
        truth = labels[rest.rows]
        meaning, of_rest = calibrate_out_of_fold(rest, truth, "the other folds")
        scores = malignant_probability(of_rest.probabilities, meaning.malignancy_calibration)
        point = choose_operating_point(
            truth, {"savedmodel": scores}, lesions[rest.rows], "the other folds"
        )
        raw = np.asarray(calibrated(answers.logits[own], meaning.calibration), np.float64)
        probabilities[own] = raw / raw.sum(axis=1, keepdims=True)
        diagnoses[own] = decide(probabilities[own], meaning.prevalence)
        malignancy[own] = malignant_probability(probabilities[own], meaning.malignancy_calibration)
        referred[own] = malignancy[own] >= point.threshold
    return CrossValidated(answers.rows, probabilities, diagnoses, malignancy, referred)


def measure_out_of_fold(
    answers: OutOfFold, labels: npt.NDArray[np.int64], lesions: npt.NDArray[np.str_]
) -> OutOfFoldMetrics:
    """Measure a run's out-of-fold answers, with what is fitted to them cross-validated.

    Args:
        answers: of at least two folds.
        labels: class of every image of the data set.
        lesions: the lesion of every image of the data set.

    Raises:
        LentigoError: as `cross_validate`.
    """
    return OutOfFoldMetrics(
        folds=len(np.unique(answers.fold)),
        images=len(answers.rows),
        lesions=len(np.unique(lesions[answers.rows])),
        metrics=measure(cross_validate(answers, labels, lesions), None, labels, lesions),
    )


def measure(
    ours: CrossValidated,
    theirs: CrossValidated | None,
    labels: npt.NDArray[np.int64],
    lesions: npt.NDArray[np.str_],
    seed: int = 0,
) -> dict[str, Estimate]:
    """Return the metrics of `MEASURED` with intervals by lesion, or paired differences.

    Args:
        ours: the answers.
        theirs: those of another recipe for the same images; the result is then ours minus theirs.
        labels: class of every image of the data set.
        lesions: the lesion of every image of the data set.
        seed: of the resamples.
    """
    truth, groups = labels[ours.rows], lesions[ours.rows]
    statistics = _statistics(ours, truth)

    def differences(weights: FloatArray) -> Mapping[str, FloatArray]:
        one = statistics(weights)
        if theirs is None:
            return one
        other = _statistics(theirs, truth)(weights)
        return {name: one[name] - other[name] for name in MEASURED}

    malignant = is_malignant(truth)
    counts = {"referral sensitivity": malignant.sum(), "referral specificity": (~malignant).sum()}
    counts |= {f"recall {code}": (truth == index).sum() for index, code in enumerate(CODES)}
    bases = {
        name: Basis(int(counts.get(name, len(truth))), "a class has no image") for name in MEASURED
    }
    return estimates(differences, bases, Resampling(groups, seed))


def common_rows(ours: CrossValidated, theirs: CrossValidated) -> npt.NDArray[np.intp]:
    """Return the rows that both have answers for.

    Raises:
        EvaluationReportError: there are no such rows.
    """
    rows = np.intersect1d(ours.rows, theirs.rows)
    if not rows.size:
        raise EvaluationReportError("The two files have no image in common.")
    return rows


def _statistics(
    answers: CrossValidated, truth: LabelArray
) -> Callable[[FloatArray], Mapping[str, FloatArray]]:
    metrics = ClassificationMetrics(
        truth, answers.probabilities, answers.diagnoses, answers.malignancy
    )
    malignant = is_malignant(truth)

    def statistics(weights: FloatArray) -> Mapping[str, FloatArray]:
        values = dict(metrics.statistics(weights))
        values["referral sensitivity"] = mean(answers.referred[malignant], weights[:, malignant])
        values["referral specificity"] = mean(~answers.referred[~malignant], weights[:, ~malignant])
        return {name: values[name] for name in MEASURED}

    return statistics
