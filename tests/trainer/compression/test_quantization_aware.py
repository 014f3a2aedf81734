from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from lentigo_trainer.compression.quantization_aware import (
    FakeQuantization,
    on_grid,
    quantization_aware,
    rounded,
    rounded_depthwise,
)
from lentigo_trainer.errors import TrainingError
from lentigo_trainer.export.litert import trained_int8_model
from lentigo_trainer.export.quantization import round_to_int8
from lentigo_trainer.export.saved_model import export_saved_model
from lentigo_trainer.models.classifier import Network
from lentigo_trainer.models.graph import steps_of
from lentigo_trainer.system.progress import SilentProgress
from tests.trainer.compression.made_up import noise
from tests.trainer.networks import small_inverted_residuals


@pytest.fixture(scope="module")
def network() -> Network:
    return small_inverted_residuals(1)


@pytest.fixture(scope="module")
def aware(network: Network) -> Network:
    return quantization_aware(network, noise(14))


@pytest.fixture(scope="module")
def model(aware: Network, tmp_path_factory: pytest.TempPathFactory) -> Interpreter:
    saved = tmp_path_factory.mktemp("aware") / "saved"
    export_saved_model(on_grid(aware), saved)
    interpreter = Interpreter(model_content=trained_int8_model(saved))
    interpreter.allocate_tensors()
    return interpreter


def test_kernels_lie_on_the_grid_of_their_channel() -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 3, 4, 5)).astype(np.float32)
    found = np.asarray(rounded(kernel))
    scale = np.abs(kernel).max(axis=(0, 1, 2)) / 127
    np.testing.assert_allclose(found / scale, np.round(found / scale), atol=1e-3)
    assert np.abs(found - kernel).max() <= scale.max() * 0.51
    deep = kernel[:, :, :, :1]
    by_channel = np.abs(deep).max(axis=(0, 1, 3)) / 127
    steps = np.asarray(rounded_depthwise(deep))[..., 0] / by_channel
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)


def test_gradients_pass_through_the_rounding() -> None:
    import tensorflow as tf

    kernel = tf.Variable(np.random.default_rng(0).normal(size=(1, 1, 4, 3)).astype(np.float32))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(rounded(kernel) * 2.0)
    assert (tape.gradient(total, kernel).numpy() == 2).all()
    values = tf.Variable([-1.0, 1.0, 7.0])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(FakeQuantization(0.0, 6.0)(values))
    # Outside the range a value is clipped, and nothing passes.
    assert tape.gradient(total, values).numpy().tolist() == [0, 1, 0]


def test_a_kernel_of_zeros_stays_zero() -> None:
    assert (np.asarray(rounded(np.zeros((1, 1, 2, 3), np.float32))) == 0).all()


def test_the_aware_network_is_near_the_original_and_not_equal(
    network: Network, aware: Network
) -> None:
    images = noise(4, seed=1).astype(np.float32)
    exact, found = (each.whole(images, training=False).numpy() for each in (network, aware))
    assert 0 < np.abs(found - exact).max() < 0.1 * np.abs(exact).max()
    names = {step.name for step in steps_of(aware.whole)}
    assert not any("_bn" in name for name in names)


def test_the_file_computes_what_was_trained(aware: Network, model: Interpreter) -> None:
    images = noise(4, seed=1)
    logits = aware.whole(images.astype(np.float32), training=False).numpy()
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    run = model.get_signature_runner("serving_default")
    found = np.concatenate([run(image=images[n : n + 1])["probabilities"] for n in range(4)])
    np.testing.assert_allclose(found, expected, atol=0.01)
    plain = on_grid(aware).whole(images.astype(np.float32), training=False).numpy()
    np.testing.assert_allclose(plain, logits, atol=1e-4)


def test_the_file_has_the_ranges_of_the_training_and_int8_kernels(
    aware: Network, model: Interpreter
) -> None:
    ranges = {
        layer.high - layer.low
        for layer in aware.whole.layers
        if isinstance(layer, FakeQuantization)
    }
    details = model.get_tensor_details()
    kernels = [each for each in details if each["dtype"] is np.int8 and len(each["shape"]) == 4]
    scales = np.unique([each["quantization"][0] for each in kernels if each["quantization"][0]])
    assert all(np.isclose(scales * 255, width, rtol=1e-3).any() for width in ranges)
    by_channel = [each for each in details if len(each["quantization_parameters"]["scales"]) == 32]
    assert {each["dtype"] for each in by_channel} <= {np.int8, np.int32}
    assert len(by_channel) >= 4


def test_an_aware_network_is_the_same_after_loading(aware: Network, tmp_path: Path) -> None:
    aware.whole.save(tmp_path / "n.keras")
    loaded = keras.models.load_model(tmp_path / "n.keras", compile=False)
    images = noise(1).astype(np.float32)
    assert np.array_equal(loaded(images, training=False), aware.whole(images, training=False))


def test_a_network_without_convolutions_is_refused() -> None:
    image = keras.Input((224, 224, 3))
    whole = keras.Model(image, keras.layers.Dense(7)(keras.layers.Flatten()(image)))
    network = Network(whole=whole, backbone=whole, head=whole, feature_map="")
    with pytest.raises(TrainingError, match="no convolution"):
        quantization_aware(network, noise(1))


def test_gptq_rounds_through_residual_sums_if_asked_to(network: Network) -> None:
    assert round_to_int8(network, noise(14), SilentProgress()) is network
    found = round_to_int8(network, noise(14), SilentProgress(), branches=True)
    kernel = found.whole.get_layer("block_1_project").kernel.numpy()
    steps = kernel / (np.abs(kernel).max(axis=(0, 1, 2)) / 127)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)
    images = noise(3, seed=2).astype(np.float32)
    exact, near = (each.whole(images, training=False).numpy() for each in (network, found))
    assert 0 < np.abs(near - exact).max() < 0.05 * np.abs(exact).max()
