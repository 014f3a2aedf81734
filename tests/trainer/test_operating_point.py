import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lentigo_contract.errors import EmptyClassError, MetricError
from lentigo_contract.labels import index_of
from lentigo_trainer.answers import malignancy
from lentigo_trainer.operating_point import choose_operating_point
from tests.trainer.made_up_answers import made_up_answers

MEL, NV = index_of("mel"), index_of("nv")


def suspicions(*scores: float) -> NDArray[np.float64]:
    probabilities = np.zeros((len(scores), 7))
    probabilities[:, MEL] = scores
    probabilities[:, NV] = 1 - np.array(scores)
    return probabilities


def test_a_case_worked_by_hand() -> None:
    truth = np.array([MEL, MEL, NV, NV, NV])
    point = choose_operating_point(truth, suspicions(0.9, 0.4, 0.6, 0.2, 0.1), "five made up")
    assert point.threshold == pytest.approx(0.3)
    assert point.sensitivity == 1
    assert point.specificity == pytest.approx(2 / 3)
    assert "five made up" in point.source()


def test_one_of_twenty_malignant_examples_may_be_missed() -> None:
    scores = [0.01] + [0.5 + number / 100 for number in range(19)] + [0.3]
    point = choose_operating_point(np.array([MEL] * 20 + [NV]), suspicions(*scores), "made up")
    assert point.sensitivity == 0.95
    assert point.threshold == pytest.approx(0.4)


@given(seed=st.integers(0, 10_000))
def test_it_is_the_largest_threshold_that_is_sensitive_enough(seed: int) -> None:
    truth, probabilities, _ = made_up_answers(seed, n=80)
    point = choose_operating_point(truth, probabilities, "made up")
    assert point.sensitivity >= 0.95
    scores = malignancy(probabilities)
    higher = scores[scores >= point.threshold].min() + 1e-12
    malignant = np.isin(truth, [0, 1, MEL])
    assert (scores[malignant] >= higher).mean() < 0.95


def test_both_sides_are_needed() -> None:
    with pytest.raises(EmptyClassError):
        choose_operating_point(np.array([NV]), suspicions(0.5), "made up")
    with pytest.raises(MetricError):
        choose_operating_point(np.array([NV, MEL]), suspicions(0.5, 0.6), "made up", wanted=0)
