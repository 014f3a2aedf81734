import numpy as np
import pytest
import sklearn.metrics
from numpy.typing import NDArray

from lentigo_trainer.metrics.ranking import (
    area_under_risk,
    average_precision,
    risk_at,
    specificity_at,
)


def made_up(seed: int, n: int = 200) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Truths and scores with ties, [n]."""
    generator = np.random.default_rng(seed)
    positive = generator.random(n) < 0.3
    score = np.round(generator.random(n) * 0.7 + 0.3 * positive.astype(np.float64), 2)
    return positive, score


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_is_scikit_learns(seed: int) -> None:
    positive, score = made_up(seed)
    times = np.random.default_rng(seed).integers(0, 3, size=score.size)
    weights = np.stack([np.ones(score.size), times])
    expected = [
        sklearn.metrics.average_precision_score(positive, score, sample_weight=row)
        for row in weights
    ]
    assert average_precision(positive, score, weights) == pytest.approx(expected)


@pytest.mark.parametrize("wanted", [0.9, 0.95])
@pytest.mark.parametrize("seed", range(5))
def test_specificity_is_a_point_of_the_roc_curve(seed: int, wanted: float) -> None:
    positive, score = made_up(seed)
    false, true, _ = sklearn.metrics.roc_curve(positive, score, drop_intermediate=False)
    expected = 1 - false[np.flatnonzero(true >= wanted - 1e-9)[0]]
    found = specificity_at(wanted, positive, score, np.ones((1, score.size)))
    assert found[0] == pytest.approx(expected)


def test_nineteen_of_twenty_are_ninety_five_per_cent() -> None:
    positive = np.array([True] * 20 + [False])
    score = np.concatenate([np.full(19, 0.9), [0.1], [0.5]])
    assert specificity_at(0.95, positive, score, np.ones((1, 21)))[0] == 1.0


def test_a_resample_without_positives_or_negatives_is_undefined() -> None:
    positive, score = np.array([True, False]), np.array([0.9, 0.1])
    weights = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert np.isnan(average_precision(positive, score, weights)[0])
    assert np.isnan(specificity_at(0.9, positive, score, weights)).all()


def test_risk_is_the_error_among_the_most_confident() -> None:
    confidence = np.array([0.9, 0.8, 0.7, 0.6])
    wrong = np.array([False, True, False, True])
    coverages = np.array([0.25, 0.5, 0.75, 1.0])
    found = risk_at(coverages, confidence, wrong, np.ones((1, 4)))
    assert found[0] == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert area_under_risk(confidence, wrong, np.ones((1, 4)))[0] == pytest.approx(1 / 3)


def test_equal_confidences_share_their_errors() -> None:
    confidence, wrong = np.full(4, 0.5), np.array([True, False, False, False])
    found = risk_at(np.array([0.25, 1.0]), confidence, wrong, np.ones((1, 4)))
    assert found[0] == pytest.approx([0.25, 0.25])


def test_weights_are_the_same_as_repeating_examples() -> None:
    wrong, confidence = made_up(7)
    times = np.random.default_rng(7).integers(0, 3, size=wrong.size)
    again = (np.repeat(confidence, times), np.repeat(wrong, times))
    ones = np.ones((1, times.sum()))
    coverages = np.array([0.3, 0.8])
    weighted = risk_at(coverages, confidence, wrong, times[None].astype(float))
    assert weighted == pytest.approx(risk_at(coverages, *again, ones))
    assert area_under_risk(confidence, wrong, times[None].astype(float)) == pytest.approx(
        area_under_risk(*again, ones)
    )
