import numpy as np
import pytest
from numpy.typing import NDArray

from lentigo_trainer.export.quantization import LEVELS, refitted_weights, rounded_weights

Floats = NDArray[np.float64]


def correlated(inputs: int, seed: int = 0) -> Floats:
    """Inputs that go up and down together, as the channels of a feature map do: [m, inputs]."""
    generator = np.random.default_rng(seed)
    return generator.normal(size=(500, 3)) @ generator.normal(size=(3, inputs)) + generator.normal(
        0, 0.1, (500, inputs)
    )


def on_grid(weights: Floats, scale: Floats) -> bool:
    steps = weights / scale
    whole = np.allclose(steps, np.round(steps), atol=1e-9)
    return bool(whole and np.abs(steps).max() < LEVELS + 0.5)


def test_every_weight_is_a_multiple_of_its_channels_scale_and_the_largest_stays() -> None:
    weights = np.random.default_rng(1).normal(size=(12, 5))
    inputs = correlated(12)
    result = rounded_weights(weights, inputs.T @ inputs / len(inputs))
    scale = np.abs(weights).max(axis=0) / LEVELS
    assert on_grid(result, scale)
    np.testing.assert_allclose(np.abs(result).max(axis=0) / LEVELS, scale)


def test_the_output_changes_less_than_by_plain_rounding() -> None:
    weights = np.random.default_rng(2).normal(size=(24, 6))
    inputs = correlated(24)
    result = rounded_weights(weights, inputs.T @ inputs / len(inputs))
    scale = np.abs(weights).max(axis=0) / LEVELS
    plain = np.round(weights / scale) * scale
    errors = [np.square(inputs @ (each - weights)).mean() for each in (result, plain)]
    assert errors[0] < errors[1] / 2


def test_channels_of_their_own_are_rounded_like_one_at_a_time() -> None:
    weights = np.random.default_rng(3).normal(size=(4, 9, 1))
    covariance = np.stack([each.T @ each for each in (correlated(9, seed) for seed in range(4))])
    together = rounded_weights(weights, covariance)
    for channel in range(4):
        alone = rounded_weights(weights[channel], covariance[channel])
        np.testing.assert_allclose(together[channel], alone)


@pytest.mark.parametrize("covariance", [np.zeros((3, 3)), np.eye(3)])
def test_dead_weights_and_dead_inputs_stay_finite(covariance: Floats) -> None:
    result = rounded_weights(np.array([[0.0, 1.0], [0.0, -0.5], [0.0, 0.25]]), covariance)
    assert np.isfinite(result).all()
    assert (result[:, 0] == 0).all()


def test_weights_are_refitted_to_inputs_that_are_off() -> None:
    true = np.random.default_rng(4).normal(size=(500, 5))
    there = true * 2
    weights = np.random.default_rng(5).normal(size=(5, 2))
    refitted = refitted_weights(weights, there.T @ there / 500, there.T @ true / 500)
    np.testing.assert_allclose(refitted, weights / 2, rtol=0.02)
    same = refitted_weights(weights, true.T @ true / 500, true.T @ true / 500)
    np.testing.assert_allclose(same, weights)
