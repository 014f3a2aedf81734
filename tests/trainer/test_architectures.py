from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from lentigo_contract.errors import TrainingError, WeightsError
from lentigo_trainer.architectures import Architecture, Network, architecture, build, totals
from lentigo_trainer.normalization import FusedBatchNormalization
from tests.trainer.networks import lively_mobilenet

ROWS = 4


@pytest.fixture(scope="module")
def network() -> Network:
    return lively_mobilenet(5)


def pictures() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (ROWS, 224, 224, 3)).astype(np.float32)


def test_mobilenet_has_the_published_totals(network: Network) -> None:
    counted = totals(network)
    assert (counted.total, counted.trainable, counted.frozen) == (4_285_639, 2_914_823, 1_370_816)


def test_the_last_23_layers_learn_and_no_other(network: Network) -> None:
    layers = network.whole.layers
    assert layers[-23].name == "conv_dw_11_bn"
    assert not any(layer.trainable_variables for layer in layers[:-23])
    assert all(layer.trainable for layer in layers[-23:])


def test_trunk_and_tail_make_up_the_whole(network: Network) -> None:
    parts = network.tail(network.trunk(pictures()))
    np.testing.assert_allclose(parts, network.whole(pictures()), rtol=1e-5, atol=1e-5)


def test_a_step_on_features_has_the_gradients_of_the_whole_network(network: Network) -> None:
    labels = tf.constant([0, 2, 4, 6])
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    dropout = next(la for la in network.whole.layers if isinstance(la, keras.layers.Dropout))

    def gradients(model: keras.Model, inputs: object) -> list[np.ndarray]:
        # Both passes drop the same units.
        dropout.seed_generator.state.assign([1, 2])
        with tf.GradientTape() as tape:
            loss = cross_entropy(labels, model(inputs, training=True))
        return [g.numpy() for g in tape.gradient(loss, model.trainable_variables)]

    whole = gradients(network.whole, pictures())
    tail = gradients(network.tail, network.trunk(pictures()))
    assert len(whole) == len(tail) == 21
    for expected, found in zip(whole, tail, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_the_seed_decides_the_head() -> None:
    mobilenet = architecture("mobilenet")
    first, again, other = (
        build(mobilenet, "random", seed).tail.get_layer("logits").get_weights()[0]
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_an_unknown_architecture_is_answered_with_the_known_ones() -> None:
    with pytest.raises(TrainingError, match=r"'resnet'; there are: mobilenet"):
        architecture("resnet")


def test_missing_weight_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"mobilenet_1_0_224_tf_no_top\.h5"):
        build(architecture("mobilenet"), tmp_path, seed=0)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    path = tmp_path / "mobilenet_1_0_224_tf_no_top.h5"
    other.save_weights(tmp_path / "other.weights.h5")
    (tmp_path / "other.weights.h5").rename(path)
    with pytest.raises(WeightsError, match="does not hold the weights of mobilenet"):
        build(architecture("mobilenet"), tmp_path, seed=0)


def test_a_file_that_is_no_weight_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mobilenet_1_0_224_tf_no_top.h5").write_bytes(b"not HDF5")
    with pytest.raises(WeightsError, match="does not hold the weights of mobilenet"):
        build(architecture("mobilenet"), tmp_path, seed=0)


def test_no_weights_and_no_network_names_both_ways_out() -> None:
    def offline(weights: str | None) -> keras.Model:
        # What keras.utils.get_file raises when a download fails.
        raise Exception(f"URL fetch failure on {weights}")  # noqa: TRY002

    chosen = architecture("mobilenet")
    unreachable = Architecture(
        chosen.name, offline, chosen.weights_file, chosen.boundary, chosen.hidden, chosen.dropout
    )
    with pytest.raises(WeightsError, match=r"Connect to the network, or put .*--weights-dir"):
        build(unreachable, "imagenet", seed=0)


class TestFusedBatchNormalization:
    def layers(self) -> tuple[keras.Layer, keras.Layer]:
        pair = (keras.layers.BatchNormalization(), FusedBatchNormalization())
        draw = np.random.default_rng(3)
        values = [draw.uniform(0.5, 2, 5).astype(np.float32) for _ in range(4)]
        for layer in pair:
            layer.build((None, 6, 6, 5))
            layer.set_weights(values)
        return pair

    def maps(self) -> tf.Tensor:
        return tf.constant(np.random.default_rng(4).normal(2, 3, (8, 6, 6, 5)), tf.float32)

    def test_training_gives_keras_values_and_gradients(self) -> None:
        results = []
        for layer in self.layers():
            with tf.GradientTape() as tape:
                maps = self.maps()
                tape.watch(maps)
                loss = tf.reduce_sum(layer(maps, training=True) ** 3)
            results.append([loss, *tape.gradient(loss, [maps, *layer.trainable_variables])])
        for expected, found in zip(*results, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-2)

    def test_the_followed_statistics_differ_by_bessels_correction_alone(self) -> None:
        plain, fused = self.layers()
        before = plain.moving_variance.numpy()
        for layer in (plain, fused):
            layer(self.maps(), training=True)
        np.testing.assert_allclose(fused.moving_mean, plain.moving_mean, rtol=1e-5)
        n = 8 * 6 * 6
        kept = before * plain.momentum
        np.testing.assert_allclose(
            fused.moving_variance - kept,
            (plain.moving_variance - kept) * n / (n - 1),
            rtol=1e-4,
        )

    @pytest.mark.parametrize("trainable", [True, False])
    def test_outside_training_it_is_keras_own(self, trainable: bool) -> None:
        results = []
        for layer in self.layers():
            layer.trainable = trainable
            results.append(layer(self.maps(), training=not trainable))
        np.testing.assert_array_equal(*results)
