import numpy as np
import pytest
from numpy.typing import NDArray

from lentigo_trainer.export.gptq import LEVELS, refit_weights, round_weights

Floats = NDArray[np.float64]


def correlated(inputs: int, seed: int = 0) -> Floats:
    """Return correlated inputs, as the channels of a feature map are: [m, inputs]."""
    generator = np.random.default_rng(seed)
    return generator.normal(size=(500, 3)) @ generator.normal(size=(3, inputs)) + generator.normal(
        0, 0.1, (500, inputs)
    )


def on_grid(weights: Floats, scale: Floats) -> bool:
    steps = weights / scale
    whole = np.allclose(steps, np.round(steps), atol=1e-9)
    return bool(whole and np.abs(steps).max() < LEVELS + 0.5)


def test_every_weight_is_a_multiple_of_its_channels_scale_and_the_largest_is_unchanged() -> None:
    weights = np.random.default_rng(1).normal(size=(12, 5))
    inputs = correlated(12)
    result = round_weights(weights, inputs.T @ inputs / len(inputs))
    scale = np.abs(weights).max(axis=0) / LEVELS
    assert on_grid(result, scale)
    np.testing.assert_allclose(np.abs(result).max(axis=0) / LEVELS, scale)


def test_the_output_changes_less_than_by_plain_rounding() -> None:
    weights = np.random.default_rng(2).normal(size=(24, 6))
    inputs = correlated(24)
    result = round_weights(weights, inputs.T @ inputs / len(inputs))
    scale = np.abs(weights).max(axis=0) / LEVELS
    plain = np.round(weights / scale) * scale
    errors = [np.square(inputs @ (each - weights)).mean() for each in (result, plain)]
    assert errors[0] < errors[1] / 2


def test_stacked_channels_are_rounded_as_if_one_at_a_time() -> None:
    weights = np.random.default_rng(3).normal(size=(4, 9, 1))
    covariance = np.stack([each.T @ each for each in (correlated(9, seed) for seed in range(4))])
    together = round_weights(weights, covariance)
    for channel in range(4):
        alone = round_weights(weights[channel], covariance[channel])
        np.testing.assert_allclose(together[channel], alone)


@pytest.mark.parametrize("covariance", [np.zeros((3, 3)), np.eye(3)])
def test_zero_weights_and_zero_inputs_stay_finite(covariance: Floats) -> None:
    result = round_weights(np.array([[0.0, 1.0], [0.0, -0.5], [0.0, 0.25]]), covariance)
    assert np.isfinite(result).all()
    assert (result[:, 0] == 0).all()


def test_weights_are_refitted_to_inaccurate_inputs() -> None:
    exact = np.random.default_rng(4).normal(size=(500, 5))
    actual = exact * 2
    weights = np.random.default_rng(5).normal(size=(5, 2))
    refitted = refit_weights(weights, actual.T @ actual / 500, actual.T @ exact / 500)
    np.testing.assert_allclose(refitted, weights / 2, rtol=0.02)
    same = refit_weights(weights, exact.T @ exact / 500, exact.T @ exact / 500)
    np.testing.assert_allclose(same, weights)
