"""How far one version is from another on the same images.

Both answer the same lesions in every resample, so what is hard for both cancels out, and the
interval is that of the difference (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993,
section 8.3, for paired data).
"""

from collections.abc import Mapping
from typing import Final

from lentigo_trainer.errors import EvaluationReportError
from lentigo_trainer.evaluation.report import (
    EvaluationReport,
    groups_of,
    probabilities_of,
    truth_of,
)
from lentigo_trainer.metrics.arrays import FloatArray
from lentigo_trainer.metrics.bootstrap import Basis, Estimate, Resampling, estimates
from lentigo_trainer.metrics.classification import ClassificationMetrics

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
"""Figures of `Evaluation` that are compared."""


def paired_differences(
    ours: EvaluationReport, theirs: EvaluationReport
) -> dict[str, Estimate] | None:
    """Subtract the other version's figures from ours, each with its paired 95 % interval.

    Args:
        ours: figures with the answers kept; its seed and resamples are taken.
        theirs: those of the other version.

    Returns:
        The differences by the names of `COMPARED`; None where either did not keep its answers.

    Raises:
        ScorecardError: they were measured on different images.
    """
    require_same_images(ours, theirs)
    if ours.answers is None or theirs.answers is None:
        return None
    truth = truth_of(ours.answers)
    mine = ClassificationMetrics(truth, probabilities_of(ours.answers))
    others = ClassificationMetrics(truth, probabilities_of(theirs.answers))

    def statistics(weights: FloatArray) -> Mapping[str, FloatArray]:
        left, right = mine.statistics(weights), others.statistics(weights)
        return {name: left[name] - right[name] for name in COMPARED}

    result = ours.evaluation
    bases = {}
    for name in COMPARED:
        figure: Estimate = getattr(result, name)
        bases[name] = Basis(figure.n, figure.reason or "undefined")
    made = Resampling(groups_of(ours.answers), result.seed, result.resamples)
    return estimates(statistics, bases, made)


def require_same_images(ours: EvaluationReport, theirs: EvaluationReport) -> None:
    """Check that two sets of figures speak of the same images with the same truth.

    Raises:
        ScorecardError: they do not.
    """
    if ours.image_set != theirs.image_set:
        raise EvaluationReportError(
            f"{theirs.subject.named} was measured on {theirs.images} "
            f"({theirs.evaluation.examples:,} images), {ours.subject.named} on {ours.images} "
            f"({ours.evaluation.examples:,}): these are not the same images with the same truth, "
            "so the figures cannot stand beside each other. Measure both on one set."
        )
