import keras
import numpy as np
import pytest

from lentigo_trainer.training.optimization.losses import adjusted_cross_entropy

SHARES = np.array([0.4, 0.2, 0.1, 0.1, 0.1, 0.1, 0.0])
LOGITS = np.random.default_rng(0).normal(0, 1, (5, 7)).astype(np.float32)
LABELS = np.arange(5)
TARGETS = np.eye(7, dtype=np.float32)[LABELS]


def test_with_strength_zero_it_is_cross_entropy() -> None:
    expected = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(LABELS, LOGITS)
    found = adjusted_cross_entropy(SHARES, strength=0, smoothing=0)(TARGETS, LOGITS)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_with_strength_one_equal_logits_cost_as_much_as_guessing_by_share() -> None:
    flat = np.zeros((4, 7), np.float32)
    shares = np.array([0.4, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05])
    targets = np.eye(7, dtype=np.float32)[[0, 0, 1, 5]]
    found = adjusted_cross_entropy(shares, strength=1, smoothing=0)(targets, flat)
    assert float(found) == pytest.approx(-np.log([0.4, 0.4, 0.2, 0.05]).mean(), rel=1e-5)


def test_a_class_that_is_never_drawn_is_not_adjusted_to_infinity() -> None:
    found = adjusted_cross_entropy(SHARES, strength=1, smoothing=0.1)(TARGETS, LOGITS)
    assert np.isfinite(float(found))


def test_with_label_smoothing_certainty_is_not_optimal() -> None:
    sure = np.eye(7, dtype=np.float32)[:1] * 30
    plain, smooth = (
        float(adjusted_cross_entropy(np.full(7, 1 / 7), 1, smoothing)(TARGETS[:1], sure))
        for smoothing in (0.0, 0.07)
    )
    assert plain == pytest.approx(0, abs=1e-5)
    assert smooth == pytest.approx(0.06 * 30, rel=1e-3)
