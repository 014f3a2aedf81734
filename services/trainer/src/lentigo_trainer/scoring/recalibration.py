"""The probabilities as they were before calibration by temperature.

Calibrated probabilities are softmax(z / T), so p ** T is proportional to exp(z): raised to the
temperature and scaled to sum to 1 again, they are softmax(z). Guo et al., "On Calibration of Modern
Neural Networks" (ICML 2017).
"""

import numpy as np
from pydantic import BaseModel, ConfigDict

from lentigo_contract.manifest import Calibration
from lentigo_trainer.answers import FloatArray, LabelArray
from lentigo_trainer.evaluation import Evaluation, Figure, evaluate
from lentigo_trainer.reliability import ReliabilityBin
from lentigo_trainer.scoring.measured import Resampling


class CalibrationFigures(BaseModel):
    """Whether the probabilities mean what they say.

    Attributes:
        expected_calibration_error: 0..1; see `reliability`.
        brier: 0..2; see `metrics`.
        log_loss: nats.
        reliability: the bars of the reliability diagram.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    expected_calibration_error: Figure
    brier: Figure
    log_loss: Figure
    reliability: tuple[ReliabilityBin, ...]


class CalibrationReport(BaseModel):
    """Before and after; `after` is what is served.

    Attributes:
        method: as the manifest has it; None where there is no manifest.
        temperature: by which the logits are divided; None where that is not known.
        before: without calibration; None where that cannot be recovered.
        after: as answered.
        reason: why `before` is missing or the same.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str | None
    temperature: float | None
    before: CalibrationFigures | None
    after: CalibrationFigures
    reason: str | None = None


def calibration_report(
    calibration: Calibration | None,
    truth: LabelArray,
    probabilities: FloatArray,
    after: Evaluation,
    resampling: Resampling,
) -> CalibrationReport:
    """Set the probabilities as answered beside those before calibration.

    Args:
        calibration: how they were calibrated; None where that is not known.
        truth: class numbers, [n].
        probabilities: as answered, [n, 7].
        after: the evaluation of these.
        resampling: how to make the intervals.
    """
    answered = _figures(after)
    if calibration is None:
        return CalibrationReport(
            method=None,
            temperature=None,
            before=None,
            after=answered,
            reason="a service does not tell its temperature; name its version with --model",
        )
    method, temperature = calibration.method, calibration.temperature
    if method == "none":
        before, reason = answered, "not calibrated, so there is no before and after"
    elif method == "temperature":
        raw = uncalibrated(probabilities, temperature)
        made = (resampling.groups, resampling.seed, resampling.resamples)
        before, reason = _figures(evaluate(truth, raw, *made)), None
    else:
        before, reason = None, f"the probabilities before {method} cannot be recovered"
    return CalibrationReport(
        method=method, temperature=temperature, before=before, after=answered, reason=reason
    )


def uncalibrated(probabilities: FloatArray, temperature: float) -> FloatArray:
    """Undo a temperature: [n, 7] to [n, 7], rows sum to 1.

    Args:
        probabilities: softmax(logits / temperature), rows sum to 1.
        temperature: above 0.
    """
    # A probability of 0 has lost its logit; the smallest number stands in for it.
    logs = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny)) * temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    raw: FloatArray = powers / powers.sum(axis=1, keepdims=True)
    return raw


def _figures(result: Evaluation) -> CalibrationFigures:
    return CalibrationFigures(
        expected_calibration_error=result.expected_calibration_error,
        brier=result.brier,
        log_loss=result.log_loss,
        reliability=result.reliability,
    )
