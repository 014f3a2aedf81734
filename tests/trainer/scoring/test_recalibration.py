import numpy as np
import pytest

from lentigo_contract.manifest import Calibration
from lentigo_trainer.answers import FloatArray
from lentigo_trainer.evaluation import evaluate
from lentigo_trainer.scoring.measured import Resampling
from lentigo_trainer.scoring.recalibration import (
    CalibrationReport,
    calibration_report,
    uncalibrated,
)
from tests.trainer.made_up_answers import made_up_answers


def softmax(logits: FloatArray) -> FloatArray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: FloatArray = powers / powers.sum(axis=1, keepdims=True)
    return shares


def report(calibration: Calibration | None, temperature: float = 1.0) -> CalibrationReport:
    """The report on made-up answers that were divided by a temperature."""
    truth, raw, lesions = made_up_answers(1)
    answers = softmax(np.log(raw) / temperature)
    after = evaluate(truth, answers, lesions, 0, 50)
    return calibration_report(calibration, truth, answers, after, Resampling(lesions, 0, 50))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_temperature_can_be_undone(temperature: float) -> None:
    logits = np.random.default_rng(0).normal(0, 4, (50, 7))
    assert uncalibrated(softmax(logits / temperature), temperature) == pytest.approx(
        softmax(logits)
    )


def test_a_probability_of_nothing_stays_a_number() -> None:
    raw = uncalibrated(np.array([[1.0, 0, 0, 0, 0, 0, 0]]), 3.0)
    assert raw.sum() == pytest.approx(1)
    assert np.isfinite(raw).all()


def test_before_is_what_the_network_said() -> None:
    truth, raw, lesions = made_up_answers(1)
    found = report(Calibration(method="temperature", temperature=2.0), temperature=2.0)
    expected = evaluate(truth, raw, lesions, 0, 50)
    assert found.before is not None
    assert found.before.log_loss.value == pytest.approx(expected.log_loss.value)
    assert found.before.log_loss.value != pytest.approx(found.after.log_loss.value)
    assert found.reason is None


def test_without_calibration_before_and_after_are_the_same() -> None:
    found = report(Calibration(method="none", temperature=1.0))
    assert found.before == found.after
    assert "not calibrated" in str(found.reason)


def test_where_the_temperature_is_not_known_there_is_no_before() -> None:
    found = report(None)
    assert found.before is None
    assert "--model" in str(found.reason)
