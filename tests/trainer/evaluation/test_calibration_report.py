import numpy as np
import pytest
from scipy.special import softmax

from lentigo_contract.manifest.probabilities import Calibration
from lentigo_trainer.calibration.temperature import calibrated
from lentigo_trainer.evaluation.calibration_report import (
    CalibrationReport,
    calibration_report,
    uncalibrated,
)
from lentigo_trainer.evaluation.summary import evaluate
from lentigo_trainer.metrics.arrays import FloatArray
from lentigo_trainer.metrics.bootstrap import Resampling
from tests.trainer.metrics.made_up_answers import made_up_answers


def by_diagnosis(temperatures: FloatArray) -> Calibration:
    return Calibration(
        method="temperature by diagnosis",
        temperature=1.0,
        by_diagnosis=tuple(temperatures.tolist()),
    )


def report(calibration: Calibration | None, temperature: float = 1.0) -> CalibrationReport:
    """The report on made-up probabilities that were divided by a temperature."""
    truth, raw, lesions = made_up_answers(1)
    probabilities = softmax(np.log(raw) / temperature, axis=1)
    after = evaluate(truth, probabilities, lesions, 0, 50)
    return calibration_report(calibration, truth, probabilities, after, Resampling(lesions, 0, 50))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_temperature_can_be_undone(temperature: float) -> None:
    logits = np.random.default_rng(0).normal(0, 4, (50, 7))
    known = Calibration(method="temperature", temperature=temperature)
    assert uncalibrated(softmax(logits / temperature, axis=1), known) == pytest.approx(
        softmax(logits, axis=1)
    )


@pytest.mark.parametrize(
    "temperatures",
    [(1.0,) * 7, (1.2, 0.9, 1.1, 1.0, 1.6, 0.5, 1.4), (0.5, *(2.0,) * 6), (2.0, *(0.5,) * 6)],
)
def test_temperatures_by_diagnosis_can_be_undone(temperatures: tuple[float, ...]) -> None:
    draw = np.random.default_rng(0)
    logits = np.concatenate([draw.normal(0, size, (2000, 7)) for size in (0.5, 2, 6)])
    known = by_diagnosis(np.array(temperatures))
    served = np.asarray(calibrated(logits.astype(np.float32), known))
    found = uncalibrated(served.astype(np.float64), known)
    assert found == pytest.approx(softmax(logits, axis=1), abs=1e-4)


def test_a_probability_of_zero_stays_finite() -> None:
    nearly_all = np.array([[1.0, 0, 0, 0, 0, 0, 0]])
    for known in (
        Calibration(method="temperature", temperature=3.0),
        by_diagnosis(np.array([0.5, 1, 1, 1, 1, 1, 2])),
    ):
        raw = uncalibrated(nearly_all, known)
        assert raw.sum() == pytest.approx(1)
        assert np.isfinite(raw).all()


def test_before_is_the_uncalibrated_output() -> None:
    truth, raw, lesions = made_up_answers(1)
    found = report(Calibration(method="temperature", temperature=2.0), temperature=2.0)
    expected = evaluate(truth, raw, lesions, 0, 50)
    assert found.before is not None
    assert found.before.log_loss.value == pytest.approx(expected.log_loss.value)
    assert found.before.log_loss.value != pytest.approx(found.after.log_loss.value)
    assert found.reason is None


def test_temperatures_too_far_apart_to_be_undone_leave_no_before() -> None:
    found = report(by_diagnosis(np.array([0.4, 1, 1, 1, 1, 1, 2])))
    assert found.before is None
    assert "cannot be undone" in str(found.reason)


def test_without_calibration_before_and_after_are_the_same() -> None:
    found = report(Calibration(method="none", temperature=1.0))
    assert found.before == found.after
    assert "not calibrated" in str(found.reason)


def test_where_the_temperature_is_not_known_there_is_no_before() -> None:
    found = report(None)
    assert found.before is None
    assert "--model" in str(found.reason)
