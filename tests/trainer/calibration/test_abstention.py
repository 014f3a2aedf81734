import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lentigo_trainer.calibration.thresholds import choose_abstention
from lentigo_trainer.errors import MetricError
from tests.trainer.metrics.made_up_answers import made_up_answers


def nevi(*confidences: float) -> NDArray[np.float64]:
    """Predictions of class 5 with these probabilities, and share out the rest."""
    probabilities = np.repeat((1 - np.array(confidences))[:, None] / 6, 7, axis=1)
    probabilities[:, 5] = confidences
    return probabilities


def test_a_case_worked_by_hand() -> None:
    probabilities = nevi(0.5, *[0.9] * 9)
    truth = np.array([4] + [5] * 9)
    found = choose_abstention(truth, {"savedmodel": probabilities}, "ten made up")
    assert found.threshold == pytest.approx(0.7)
    assert "ten made up" in found.source
    assert "kept 9 (accuracy 1.000" in found.source
    assert "not relied on 1 (accuracy 0.000" in found.source


@given(seed=st.integers(0, 10_000), n=st.integers(2, 90))
def test_nine_in_ten_predictions_are_kept_for_every_engine(seed: int, n: int) -> None:
    truth, first, _ = made_up_answers(seed, n=n)
    _, second, _ = made_up_answers(seed + 1, n=n)
    found = choose_abstention(truth, {"savedmodel": first, "litert": second}, "made up")
    for probabilities in (first, second):
        assert (probabilities.max(axis=1) >= found.threshold).mean() >= 0.9


def test_a_coverage_of_one_drops_no_prediction() -> None:
    found = choose_abstention(np.array([5, 5]), {"savedmodel": nevi(0.5, 0.9)}, "two", coverage=1)
    assert found.threshold <= 0.5
    assert "not relied on" not in found.source


@pytest.mark.parametrize("coverage", [0, 1.1, float("nan")])
def test_an_impossible_coverage_is_refused(coverage: float) -> None:
    with pytest.raises(MetricError, match="coverage"):
        choose_abstention(np.array([5]), {"savedmodel": nevi(0.5)}, "one", coverage)


def test_predictions_are_required_and_must_be_probabilities() -> None:
    with pytest.raises(MetricError, match="at least one engine"):
        choose_abstention(np.array([5]), {}, "none")
    with pytest.raises(MetricError, match="not a number"):
        choose_abstention(np.array([5]), {"savedmodel": nevi(np.nan)}, "one")
    with pytest.raises(MetricError, match="no example"):
        choose_abstention(np.array([], int), {"savedmodel": np.empty((0, 7))}, "none")
