"""The differences between two versions on the same images, with paired intervals.

Every resample holds the same lesions for both, so what is hard for both cancels out, and the
interval is that of the difference (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993,
section 8.3, for paired data).
"""

from collections.abc import Collection, Mapping
from typing import Final

import numpy as np

from lentigo_contract.labels import index_of
from lentigo_contract.wording import pluralize
from lentigo_trainer.errors import EvaluationReportError
from lentigo_trainer.evaluation.image_predictions import (
    diagnoses_of,
    groups_of,
    probabilities_of,
    truth_of,
)
from lentigo_trainer.evaluation.report import EvaluationReport
from lentigo_trainer.metrics.arrays import FloatArray, LabelArray
from lentigo_trainer.metrics.bootstrap import Basis, Estimate, Resampling, estimates, mean
from lentigo_trainer.metrics.classification import (
    DECIDED,
    ClassificationMetrics,
    present_codes,
)

COMPARED: Final = (
    "accuracy",
    "balanced_accuracy",
    "melanoma_sensitivity",
    "malignant_auc",
    "macro_auc",
    "expected_calibration_error",
    "brier",
    "log_loss",
)
"""Metrics of `Evaluation` that are compared."""

PROBABLE: Final = tuple(f"probable {name}" for name in DECIDED)
"""And those of the most probable diagnosis, which matter where one of the two decides otherwise."""


def paired_differences(
    ours: EvaluationReport, theirs: EvaluationReport, without: Collection[str] = ()
) -> dict[str, Estimate] | None:
    """Subtract the other version's metrics from ours, each with its paired 95 % interval.

    Args:
        ours: our report with its predictions; its seed and resamples are used.
        theirs: the report of the other version.
        without: names of images to leave out.

    Returns:
        The differences by the names of `COMPARED` and `PROBABLE`; None where either has no
        predictions.

    Raises:
        EvaluationReportError: they are about different images.
    """
    require_same_images(ours, theirs)
    if ours.answers is None or theirs.answers is None:
        return None
    our_answers = [answer for answer in ours.answers if answer.image not in without]
    their_answers = [answer for answer in theirs.answers if answer.image not in without]
    truth = truth_of(our_answers)
    our_metrics, their_metrics = (
        ClassificationMetrics(truth, probabilities_of(answers), diagnoses_of(answers))
        for answers in (our_answers, their_answers)
    )

    def statistics(weights: FloatArray) -> Mapping[str, FloatArray]:
        left, right = our_metrics.statistics(weights), their_metrics.statistics(weights)
        return {name: left[name] - right[name] for name in (*COMPARED, *PROBABLE)}

    result = (without and ours.evaluation.without_known_duplicates) or ours.evaluation
    bases = {}
    for name in COMPARED:
        estimate: Estimate = getattr(result, name)
        bases[name] = Basis(estimate.n, estimate.reason or "undefined")
    bases |= {f"probable {name}": bases[name] for name in DECIDED}
    resampling = Resampling(groups_of(our_answers), result.seed, result.resamples)
    return estimates(statistics, bases, resampling)


def paired_balanced_accuracy(
    truth: LabelArray, ours: LabelArray, theirs: LabelArray, resampling: Resampling
) -> Estimate:
    """Subtract their balanced accuracy from ours, with its paired 95 % interval.

    Args:
        truth: class numbers, int64 [n].
        ours: the diagnoses that one version gives, class numbers, int64 [n].
        theirs: those that the other gives.
        resampling: how to compute the interval.
    """
    # What a resample makes of the difference of two recalls is the mean of the difference.
    gained = (ours == truth).astype(np.float64) - (theirs == truth)
    members = [truth == index_of(code) for code in present_codes(truth)]

    def statistics(weights: FloatArray) -> Mapping[str, FloatArray]:
        gains = [mean(gained, weights, among=each) for each in members]
        return {"balanced_accuracy": np.mean(gains, axis=0)}

    basis = Basis(truth.size, "undefined")
    return estimates(statistics, {"balanced_accuracy": basis}, resampling)["balanced_accuracy"]


def require_same_images(ours: EvaluationReport, theirs: EvaluationReport) -> None:
    """Check that two reports are about the same images with the same ground truth.

    Raises:
        EvaluationReportError: they are not.
    """
    if ours.image_set != theirs.image_set:
        images = pluralize(theirs.evaluation.examples, "image")
        raise EvaluationReportError(
            f"{theirs.subject.named} was evaluated on {theirs.images} "
            f"({images}), {ours.subject.named} on {ours.images} "
            f"({ours.evaluation.examples:,}): these are not the same images with the same truth, "
            "so they cannot be compared. Evaluate both on one set."
        )
