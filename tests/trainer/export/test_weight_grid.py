from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from lentigo_trainer.export.folding import CONVOLUTIONS
from lentigo_trainer.export.litert import float32_model
from lentigo_trainer.export.saved_model import export_saved_model
from lentigo_trainer.export.weight_grid import (
    LARGE,
    STEPS,
    round_kernels,
    round_to_grid,
)
from lentigo_trainer.models.classifier import Network
from tests.trainer.networks import small_inverted_residuals, small_mobilenet

NETWORKS = (small_mobilenet, small_inverted_residuals)


def normal(*shape: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, 0.1, shape)


def step_of(weights: NDArray[np.floating]) -> float:
    """Return the largest power of two that all weights are multiples of."""
    exponents = np.arange(-40, 10)
    whole = [np.all(weights / 2.0**each == np.round(weights / 2.0**each)) for each in exponents]
    return float(2.0 ** exponents[whole].max())


def test_weights_become_multiples_of_a_power_of_two_and_move_by_half_of_it_at_most() -> None:
    weights = normal(512, 600)
    rounded = round_to_grid(weights)
    step = step_of(rounded)
    assert rounded.dtype == np.float32
    assert np.abs(rounded - weights).max() <= step / 2
    assert 0.7 < weights.std() / step / STEPS < 1.42


def test_a_smaller_kernel_gets_finer_steps() -> None:
    large, small = (round_to_grid(normal(n)) for n in (LARGE, LARGE // 256))
    assert step_of(small) == step_of(large) / 16


def test_zeros_stay_zeros_and_choose_no_step() -> None:
    weights = normal(300, 300)
    rounded = round_to_grid(np.tril(weights))
    assert (np.triu(rounded, 1) == 0).all()
    assert step_of(rounded) == step_of(round_to_grid(weights[np.tril_indices(300)]))
    assert (round_to_grid(np.zeros((3, 3))) == 0).all()


def test_no_zero_is_negative() -> None:
    rounded = round_to_grid(normal(100, 100))
    assert (rounded == 0).any()
    assert not np.signbit(rounded[rounded == 0]).any()


@pytest.mark.parametrize("built", NETWORKS)
def test_a_rounded_network_answers_nearly_as_before(built: Callable[[int], Network]) -> None:
    network = built(3)
    before = [np.array(each) for each in network.whole.get_weights()]
    rounded = round_kernels(network)
    images = np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3)).astype(np.float32)
    expected, answers = (each.whole(images, training=False) for each in (network, rounded))
    np.testing.assert_allclose(answers, expected, atol=0.05)
    assert not np.array_equal(answers, expected)
    for each, unchanged in zip(before, network.whole.get_weights(), strict=True):
        np.testing.assert_array_equal(each, unchanged)


@pytest.mark.parametrize("built", NETWORKS)
def test_the_converter_leaves_the_kernels_on_their_grids(
    built: Callable[[int], Network], tmp_path: Path
) -> None:
    rounded = round_kernels(built(4))
    export_saved_model(rounded, tmp_path)
    constants = _constants(float32_model(tmp_path))
    kernels = [
        layer.get_weights()[0]
        for layer in rounded.whole.layers
        if isinstance(layer, (*CONVOLUTIONS, keras.layers.Dense))
    ]
    assert len(kernels) > 3
    for kernel in kernels:
        assert np.sort(kernel, axis=None).tobytes() in constants


def _constants(model: bytes) -> set[bytes]:
    """Return the values of every constant, in their order of size."""
    interpreter = Interpreter(model_content=model)
    found = set()
    for detail in interpreter.get_tensor_details():
        try:
            values = interpreter.get_tensor(detail["index"])
        except ValueError:  # what is computed, before anything was
            continue
        if values.dtype == np.float32:
            found.add(np.sort(values, axis=None).tobytes())
    return found


def test_a_network_that_cannot_be_rebuilt_stays_as_it_is() -> None:
    image = keras.Input((8, 8, 3))
    layer = keras.layers.Conv2D(3, 3, padding="same")
    whole = keras.Model(image, layer(layer(image)))
    network = Network(whole=whole, backbone=whole, head=whole, feature_map="")
    assert round_kernels(network) is network
