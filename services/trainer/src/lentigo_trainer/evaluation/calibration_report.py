"""Calibration before and after temperature scaling.

The served probabilities are softmax(z / T), so p ** T is proportional to exp(z): raised to the
temperature and scaled to sum to 1 again, they are softmax(z). Guo et al., "On Calibration of Modern
Neural Networks" (ICML 2017). Where each diagnosis has its own temperature, T depends on softmax(z)
in turn, and bisection finds it.
"""

from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.special import softmax

from lentigo_contract.manifest.probabilities import Calibration
from lentigo_trainer.evaluation.summary import Evaluation, evaluate
from lentigo_trainer.metrics.arrays import FloatArray, LabelArray
from lentigo_trainer.metrics.bootstrap import Estimate, Resampling
from lentigo_trainer.metrics.reliability import ReliabilityBin

_HALVINGS: Final = 60

_WIDEST: Final = 4.0
"""Ratio of the highest to the lowest temperature up to which there is one solution. That is where
f - s @ (1 / T) grows with the factor f whatever the shares s = softmax(z), so where
f + sum(s * (1 / T - f) * log s) is above 0 with f = s @ (1 / T). A search over shares and
temperatures of seven diagnoses found it to be so up to a ratio of 4.2."""


class CalibrationMetrics(BaseModel):
    """How well confidence matches accuracy.

    Attributes:
        expected_calibration_error: 0..1; see `metrics.reliability`.
        brier: 0..2; see `metrics.classification`.
        log_loss: nats.
        reliability: the bars of the reliability diagram.
        malignant_calibration_error: of P(malignant); None in reports of older releases.
        malignant_reliability: the bars of its diagram.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    expected_calibration_error: Estimate
    brier: Estimate
    log_loss: Estimate
    reliability: tuple[ReliabilityBin, ...]
    malignant_calibration_error: Estimate | None = None
    malignant_reliability: tuple[ReliabilityBin, ...] = ()


class CalibrationReport(BaseModel):
    """Before and after; `after` is what is served.

    Attributes:
        method: from the manifest; None without one.
        temperature: by which the logits are divided; None if unknown.
        by_diagnosis: the temperature of each diagnosis, if they have their own; see `Calibration`.
        before: without calibration; None if that cannot be recovered.
        after: as served.
        reason: why `before` is missing or the same.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str | None
    temperature: float | None
    by_diagnosis: tuple[float, ...] | None = None
    before: CalibrationMetrics | None
    after: CalibrationMetrics
    reason: str | None = None


def calibration_report(
    calibration: Calibration | None,
    truth: LabelArray,
    probabilities: FloatArray,
    after: Evaluation,
    resampling: Resampling,
) -> CalibrationReport:
    """Compare the probabilities as served with those before calibration.

    Args:
        calibration: how they were calibrated; None if unknown.
        truth: class numbers, [n].
        probabilities: as served, [n, 7].
        after: the evaluation of these.
        resampling: how to compute the intervals.
    """
    served = _calibration_metrics(after)
    if calibration is None:
        return CalibrationReport(
            method=None,
            temperature=None,
            before=None,
            after=served,
            reason="a service does not report its temperature (give its version with --model), and "
            "one that moved its probabilities to a clinic's prevalence has no before",
        )
    if calibration.method == "none":
        before, reason = served, "not calibrated, so there is no before and after"
    elif _ratio(calibration) > _WIDEST:
        before, reason = None, "temperatures so far apart cannot be undone"
    else:
        raw = uncalibrated(probabilities, calibration)
        how = (resampling.groups, resampling.seed, resampling.resamples)
        before, reason = _calibration_metrics(evaluate(truth, raw, *how)), None
    return CalibrationReport(
        method=calibration.method,
        temperature=calibration.temperature,
        by_diagnosis=calibration.by_diagnosis,
        before=before,
        after=served,
        reason=reason,
    )


def _ratio(calibration: Calibration) -> float:
    temperatures = calibration.by_diagnosis or (calibration.temperature,)
    return max(temperatures) / min(temperatures)


def uncalibrated(probabilities: FloatArray, calibration: Calibration) -> FloatArray:
    """Undo a calibration: [n, 7] to [n, 7], rows sum to 1.

    Args:
        probabilities: as served, rows sum to 1.
        calibration: how they were calibrated; with temperatures at most `_WIDEST` apart.
    """
    # The logit of a probability of 0 is lost; use the smallest number instead.
    logs = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    if calibration.biases is not None:
        logs = logs - np.array(calibration.biases)
    raw: FloatArray = softmax(logs / _factors(logs, calibration), axis=1)
    return raw


def _factors(logs: FloatArray, calibration: Calibration) -> FloatArray:
    """Find what the logits of each image were multiplied by, from its logarithms: [n, 1]."""
    if calibration.by_diagnosis is None:
        return np.full((len(logs), 1), 1 / calibration.temperature)
    sharpness = 1 / np.array(calibration.by_diagnosis)
    # It is a mean of these, so it lies between the smallest and the largest.
    low, high = (np.full((len(logs), 1), end) for end in (sharpness.min(), sharpness.max()))
    for _ in range(_HALVINGS):
        factor = (low + high) / 2
        too_low = (softmax(logs / factor, axis=1) @ sharpness)[:, None] > factor
        low, high = np.where(too_low, factor, low), np.where(too_low, high, factor)
    found: FloatArray = (low + high) / 2
    return found


def _calibration_metrics(result: Evaluation) -> CalibrationMetrics:
    return CalibrationMetrics(
        expected_calibration_error=result.expected_calibration_error,
        brier=result.brier,
        log_loss=result.log_loss,
        reliability=result.reliability,
        malignant_calibration_error=result.malignant_calibration_error,
        malignant_reliability=result.malignant_reliability,
    )
