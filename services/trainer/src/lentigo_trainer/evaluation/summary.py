"""The metrics of one evaluation, each with its interval: what the manifest and reports hold."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, JsonValue

from lentigo_contract.labels import CODES
from lentigo_trainer.errors import MetricError
from lentigo_trainer.metrics.arrays import FloatArray, LabelArray
from lentigo_trainer.metrics.bootstrap import RESAMPLES, Estimate, Resampling, estimates
from lentigo_trainer.metrics.classification import (
    ClassificationMetrics,
    confusion_matrix,
    majority_code,
    present_codes,
)
from lentigo_trainer.metrics.reliability import ReliabilityBin, reliability_diagram


class ClassMetrics(BaseModel):
    """The metrics of one diagnosis."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recall: Estimate
    precision: Estimate
    auc: Estimate


class Evaluation(BaseModel):
    """The metrics on one set of images; `ClassificationMetrics` says what each means.

    Attributes:
        examples: how many images.
        lesions: how many lesions (groups) they show.
        resamples: how many bootstrap resamples the intervals rest on.
        seed: the seed of those resamples.
        majority: the code of the most frequent class, which the baseline always predicts.
        averaged_over: the codes that balanced accuracy and macro AUC average over: those present.
        classes: per code, in label order.
        confusion: 7 rows of 7 counts, truth by prediction, in label order.
        reliability: the bars of the reliability diagram.
        without_known_duplicates: the same, for the images whose lesion trained under no other
            lesion id; None where all images are such, or where that is not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    examples: int
    lesions: int
    resamples: int
    seed: int
    majority: str
    averaged_over: tuple[str, ...]
    accuracy: Estimate
    majority_baseline: Estimate
    balanced_accuracy: Estimate
    melanoma_sensitivity: Estimate
    malignant_auc: Estimate
    macro_auc: Estimate
    expected_calibration_error: Estimate
    brier: Estimate
    log_loss: Estimate
    classes: dict[str, ClassMetrics]
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[ReliabilityBin, ...]
    without_known_duplicates: "Evaluation | None" = None

    def to_json(self) -> dict[str, JsonValue]:
        """Return everything as plain values for `json.dumps` and the manifest."""
        values: dict[str, JsonValue] = self.model_dump(
            mode="json", exclude={"without_known_duplicates"}
        )
        rest = self.without_known_duplicates
        return values if rest is None else values | {"without_known_duplicates": rest.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, JsonValue]) -> "Evaluation":
        """Read what `to_json` returned.

        Raises:
            MetricError: the values are not such an evaluation.
        """
        try:
            return cls.model_validate(values)
        except ValueError as error:
            raise MetricError(f"These are not the metrics of an evaluation: {error}") from error


def evaluate(
    truth: LabelArray,
    probabilities: FloatArray,
    groups: NDArray[Any],
    seed: int,
    resamples: int = RESAMPLES,
    duplicated: NDArray[np.bool_] | None = None,
) -> Evaluation:
    """Compute every metric, with 95 % intervals by bootstrap over lesions.

    Args:
        truth: class numbers in the order of `labels.CODES`, shape [n].
        probabilities: shape [n, 7]; rows sum to 1.
        groups: the lesion of each example, shape [n].
        seed: the same seed gives the same intervals.
        resamples: how many resamples.
        duplicated: which examples show a lesion that trained under another lesion id, shape [n];
            the metrics without them are added if there are any, and any are left.

    Raises:
        MetricError: arrays of another shape or range, or no examples.
    """
    metrics = ClassificationMetrics(truth, probabilities)
    if groups.shape != metrics.truth.shape:
        raise MetricError(f"There are {groups.shape} lesions for {metrics.truth.size} examples.")
    found = estimates(metrics.statistics, metrics.bases, Resampling(groups, seed, resamples))
    both = (metrics.truth, metrics.probabilities)
    rest = None
    if duplicated is not None and duplicated.any() and not duplicated.all():
        kept = ~duplicated
        rest = evaluate(both[0][kept], both[1][kept], groups[kept], seed, resamples)
    return Evaluation(
        examples=metrics.truth.size,
        lesions=int(np.unique(groups).size),
        resamples=resamples,
        seed=seed,
        majority=majority_code(metrics.truth),
        averaged_over=present_codes(metrics.truth),
        accuracy=found["accuracy"],
        majority_baseline=found["majority_baseline"],
        balanced_accuracy=found["balanced_accuracy"],
        melanoma_sensitivity=found["melanoma_sensitivity"],
        malignant_auc=found["malignant_auc"],
        macro_auc=found["macro_auc"],
        expected_calibration_error=found["expected_calibration_error"],
        brier=found["brier"],
        log_loss=found["log_loss"],
        classes={
            code: ClassMetrics(
                recall=found[f"recall {code}"],
                precision=found[f"precision {code}"],
                auc=found[f"auc {code}"],
            )
            for code in CODES
        },
        confusion=tuple(tuple(row) for row in confusion_matrix(*both).tolist()),
        reliability=reliability_diagram(*both),
        without_known_duplicates=rest,
    )
