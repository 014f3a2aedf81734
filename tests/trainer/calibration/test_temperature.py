import numpy as np
import pytest
from numpy.typing import NDArray

from lentigo_trainer.calibration.temperature import HOTTEST, best_temperature
from lentigo_trainer.errors import MetricError


def drawn(temperature: float, rows: int = 20_000) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits that are `temperature` times too large for how often their diagnoses are right."""
    draw = np.random.default_rng(0)
    honest = draw.normal(0, 2, (rows, 7))
    labels = np.argmax(honest + draw.gumbel(size=honest.shape), axis=1)
    return honest * temperature, labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_is_the_factor_that_logits_are_too_large_by(temperature: float) -> None:
    assert best_temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.03)


def test_no_other_temperature_has_a_lower_cross_entropy() -> None:
    logits, labels = drawn(1.7, rows=500)

    def cross_entropy(temperature: float) -> float:
        scaled = logits / temperature
        log_sum = np.log(np.exp(scaled).sum(axis=1))
        return float(np.mean(log_sum - scaled[np.arange(len(labels)), labels]))

    best = best_temperature(logits, labels)
    assert all(cross_entropy(best) <= cross_entropy(best * step) for step in (0.98, 1.02))


def test_predictions_that_are_all_right_get_the_lowest_temperature() -> None:
    assert best_temperature(np.eye(7), np.arange(7)) == pytest.approx(1 / HOTTEST)


def test_predictions_that_are_all_wrong_get_the_highest_temperature() -> None:
    assert best_temperature(np.eye(7), (np.arange(7) + 1) % 7) == pytest.approx(HOTTEST)


def test_huge_logits_do_not_overflow() -> None:
    logits, labels = drawn(400.0, rows=200)
    assert best_temperature(logits, labels) == pytest.approx(HOTTEST)


def test_logits_of_a_diverged_network_are_refused() -> None:
    with pytest.raises(MetricError, match="did not diverge"):
        best_temperature(np.full((2, 7), np.nan), np.array([0, 1]))
