import numpy as np
import pytest

from lentigo_contract.labels import CODES
from lentigo_trainer.metrics.arrays import FloatArray, LabelArray
from lentigo_trainer.metrics.classification import ClassificationMetrics
from lentigo_trainer.metrics.reliability import confidence_bins, reliability_diagram
from tests.trainer.metrics.made_up_answers import certain, made_up_answers


def calibration_error_of(truth: LabelArray, probabilities: FloatArray) -> float:
    return ClassificationMetrics(truth, probabilities).value("expected_calibration_error")


def probabilities_at(confidence: float) -> list[float]:
    rest = (1 - confidence) / (len(CODES) - 1)
    return [confidence] + [rest] * (len(CODES) - 1)


def test_calibration_error_of_a_case_worked_by_hand() -> None:
    # Two predictions at 0.9, one of them right; two at 0.5, both right.
    probabilities = np.array(
        [probabilities_at(0.9), probabilities_at(0.9), probabilities_at(0.5), probabilities_at(0.5)]
    )
    truth = np.array([0, 1, 0, 0])
    assert calibration_error_of(truth, probabilities) == pytest.approx(
        0.5 * (0.9 - 0.5) + 0.5 * (1 - 0.5)
    )


def test_certain_and_right_predictions_are_perfectly_calibrated() -> None:
    assert calibration_error_of(np.array([2, 5]), certain(2, 5)) == 0


def test_bins_include_their_upper_end() -> None:
    assert confidence_bins(np.array([0.0, 0.2, 0.2001, 1.0]), bins=5).tolist() == [0, 0, 1, 4]


def test_bars_hold_every_example_once_and_empty_ones_have_no_accuracy() -> None:
    truth, probabilities, _ = made_up_answers(1)
    bars = reliability_diagram(truth, probabilities)
    assert len(bars) == 15
    assert sum(bar.n for bar in bars) == truth.size
    # No prediction of seven can have a confidence below 1/7.
    assert bars[0].n == 0
    assert bars[0].accuracy is None
    assert all(bar.low < bar.confidence <= bar.high for bar in bars if bar.confidence is not None)
