"""The differences between two versions on the same images, with paired intervals.

Every resample holds the same lesions for both, so what is hard for both cancels out, and the
interval is that of the difference (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993,
section 8.3, for paired data).
"""

from collections.abc import Mapping
from typing import Final

from lentigo_trainer.errors import EvaluationReportError
from lentigo_trainer.evaluation.image_predictions import (
    diagnoses_of,
    groups_of,
    probabilities_of,
    truth_of,
)
from lentigo_trainer.evaluation.report import EvaluationReport
from lentigo_trainer.metrics.arrays import FloatArray
from lentigo_trainer.metrics.bootstrap import Basis, Estimate, Resampling, estimates
from lentigo_trainer.metrics.classification import DECIDED, ClassificationMetrics

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
    ours: EvaluationReport, theirs: EvaluationReport
) -> dict[str, Estimate] | None:
    """Subtract the other version's metrics from ours, each with its paired 95 % interval.

    Args:
        ours: our report with its predictions; its seed and resamples are used.
        theirs: the report of the other version.

    Returns:
        The differences by the names of `COMPARED` and `PROBABLE`; None where either has no
        predictions.

    Raises:
        EvaluationReportError: they are about different images.
    """
    require_same_images(ours, theirs)
    if ours.answers is None or theirs.answers is None:
        return None
    truth = truth_of(ours.answers)
    our_metrics, their_metrics = (
        ClassificationMetrics(truth, probabilities_of(answers), diagnoses_of(answers))
        for answers in (ours.answers, theirs.answers)
    )

    def statistics(weights: FloatArray) -> Mapping[str, FloatArray]:
        left, right = our_metrics.statistics(weights), their_metrics.statistics(weights)
        return {name: left[name] - right[name] for name in (*COMPARED, *PROBABLE)}

    result = ours.evaluation
    bases = {}
    for name in COMPARED:
        estimate: Estimate = getattr(result, name)
        bases[name] = Basis(estimate.n, estimate.reason or "undefined")
    bases |= {f"probable {name}": bases[name] for name in DECIDED}
    resampling = Resampling(groups_of(ours.answers), result.seed, result.resamples)
    return estimates(statistics, bases, resampling)


def require_same_images(ours: EvaluationReport, theirs: EvaluationReport) -> None:
    """Check that two reports are about the same images with the same ground truth.

    Raises:
        EvaluationReportError: they are not.
    """
    if ours.image_set != theirs.image_set:
        raise EvaluationReportError(
            f"{theirs.subject.named} was evaluated on {theirs.images} "
            f"({theirs.evaluation.examples:,} images), {ours.subject.named} on {ours.images} "
            f"({ours.evaluation.examples:,}): these are not the same images with the same truth, "
            "so they cannot be compared. Evaluate both on one set."
        )
