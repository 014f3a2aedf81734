"""Every figure of one evaluation, with its interval, as a value that can be written and read."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    JsonValue,
)

from lentigo_contract.labels import CODES, index_of
from lentigo_trainer.errors import MetricError
from lentigo_trainer.metrics import classification
from lentigo_trainer.metrics.arrays import (
    FloatArray,
    LabelArray,
    is_malignant,
    validate_predictions,
)
from lentigo_trainer.metrics.bootstrap import RESAMPLES, Estimate, Interval, bootstrap
from lentigo_trainer.metrics.classification import (
    ReliabilityBin,
    expected_calibration_error,
    reliability_diagram,
    statistics_of,
)


class ClassMetrics(BaseModel):
    """The figures of one diagnosis."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recall: Estimate
    precision: Estimate
    auc: Estimate


class Evaluation(BaseModel):
    """What was measured on one set of examples; see `metrics` for the meaning of each figure.

    Attributes:
        examples: how many images.
        lesions: how many lesions (groups) they show.
        resamples: how many bootstrap resamples the intervals rest on.
        seed: the seed of those resamples.
        majority: the code of the most frequent class, which the baseline always answers.
        averaged_over: the codes that balanced accuracy and macro AUC speak of: those present.
        classes: per code, in label order.
        confusion: 7 rows of 7 counts, truth by answer, in label order.
        reliability: the bars of the reliability diagram.
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

    def to_json(self) -> dict[str, JsonValue]:
        """Give everything as plain values, fit for `json.dumps` and for the manifest."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, values: Mapping[str, JsonValue]) -> "Evaluation":
        """Read back what `to_json` gave.

        Raises:
            MetricError: the values are not such an evaluation.
        """
        try:
            return cls.model_validate(values)
        except ValueError as error:
            raise MetricError(f"These are not the figures of an evaluation: {error}") from error


def evaluate(
    truth: LabelArray,
    probabilities: FloatArray,
    groups: NDArray[Any],
    seed: int,
    resamples: int = RESAMPLES,
) -> Evaluation:
    """Measure everything, with 95 % intervals by bootstrap over lesions.

    Args:
        truth: class numbers in the order of `labels.CODES`, shape [n].
        probabilities: shape [n, 7]; rows sum to 1.
        groups: the lesion of each example, shape [n].
        seed: the same seed gives the same intervals.
        resamples: how many resamples.

    Raises:
        MetricError: arrays of another shape or range, or no examples.
    """
    truth, probabilities = validate_predictions(truth, probabilities)
    if groups.shape != truth.shape:
        raise MetricError(f"There are {groups.shape} lesions for {truth.size} examples.")
    intervals = bootstrap(statistics_of(truth, probabilities), groups, seed, resamples)
    total = truth.size
    members = np.bincount(truth, minlength=len(CODES))
    named = np.bincount(probabilities.argmax(axis=1), minlength=len(CODES))

    def figure(measure: Callable[[], float], key: str, n: int = total) -> Estimate:
        return _figure(measure, intervals[key], n)

    def class_figures(code: str) -> ClassMetrics:
        n = int(members[index_of(code)])
        answered = int(named[index_of(code)])
        args = (truth, probabilities, code)
        return ClassMetrics(
            recall=figure(lambda: classification.recall(*args), f"recall {code}", n),
            precision=figure(
                lambda: classification.precision(*args), f"precision {code}", answered
            ),
            auc=figure(lambda: classification.one_vs_rest_auc(*args), f"auc {code}", n),
        )

    both = (truth, probabilities)
    return Evaluation(
        examples=total,
        lesions=int(np.unique(groups).size),
        resamples=resamples,
        seed=seed,
        majority=classification.majority_code(truth),
        averaged_over=classification.present_codes(truth),
        accuracy=figure(lambda: classification.accuracy(*both), "accuracy"),
        majority_baseline=figure(
            lambda: classification.majority_baseline(truth), "majority_baseline"
        ),
        balanced_accuracy=figure(
            lambda: classification.balanced_accuracy(*both), "balanced_accuracy"
        ),
        melanoma_sensitivity=figure(
            lambda: classification.melanoma_sensitivity(*both),
            "melanoma_sensitivity",
            int(members[index_of("mel")]),
        ),
        malignant_auc=figure(
            lambda: classification.malignant_auc(*both),
            "malignant_auc",
            int(is_malignant(truth).sum()),
        ),
        macro_auc=figure(lambda: classification.macro_auc(*both), "macro_auc"),
        expected_calibration_error=figure(
            lambda: expected_calibration_error(*both), "expected_calibration_error"
        ),
        brier=figure(lambda: classification.brier_score(*both), "brier"),
        log_loss=figure(lambda: classification.log_loss(*both), "log_loss"),
        classes={code: class_figures(code) for code in CODES},
        confusion=tuple(tuple(row) for row in classification.confusion_matrix(*both).tolist()),
        reliability=reliability_diagram(*both),
    )


def _figure(measure: Callable[[], float], interval: Interval, n: int) -> Estimate:
    try:
        value = measure()
    except MetricError as undefined:
        return Estimate(value=None, low=None, high=None, n=n, reason=str(undefined))
    return Estimate(value=value, low=interval.low, high=interval.high, n=n, reason=interval.reason)
