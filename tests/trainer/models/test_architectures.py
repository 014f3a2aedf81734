from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from lentigo_trainer.errors import TrainingError, WeightsError, WeightsUnavailableError
from lentigo_trainer.models.architecture import Totals, Weights
from lentigo_trainer.models.backbone import CaffeScaling
from lentigo_trainer.models.classifier import FusedBatchNormalization, Network, build, totals
from lentigo_trainer.models.published_backbones import EFFICIENTNET_LITE0
from lentigo_trainer.models.registry import ARCHITECTURES, architecture, find_weights
from tests.trainer.networks import lively_mobilenet

ROWS = 4
Networks = Callable[[str], Network]


@pytest.fixture(scope="module")
def network() -> Network:
    return lively_mobilenet(5)


@pytest.fixture(scope="module")
def networks(network: Network) -> Networks:
    """Every architecture with random values, each built when it is first asked for."""
    built = {"mobilenet": network}

    def named(name: str) -> Network:
        if name not in built:
            built[name] = build(architecture(name), "random", seed=1)
        return built[name]

    return named


def images() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (ROWS, 224, 224, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "total", "trainable", "frozen"),
    [
        ("cnn", 646_471, 646_471, 0),
        ("vgg16", 14_790_919, 76_231, 14_714_688),
        ("resnet50", 23_860_551, 272_839, 23_587_712),
        ("mobilenet", 4_285_639, 2_914_823, 1_370_816),
    ],
)
def test_parameter_counts_equal_the_published_ones(
    name: str, total: int, trainable: int, frozen: int
) -> None:
    published = Totals(total=total, trainable=trainable, frozen=frozen)
    assert architecture(name).totals == published


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_registry_has_the_parameter_counts_of_what_it_builds(
    networks: Networks, name: str
) -> None:
    assert totals(networks(name)) == architecture(name).totals


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_builds_a_backbone_and_head_that_fit(
    networks: Networks, name: str
) -> None:
    built = networks(name)
    assert built.whole.input_shape == (None, 224, 224, 3)
    assert built.whole.output_shape == built.head.output_shape == (None, 7)
    assert built.backbone.output_shape == built.head.input_shape
    assert not built.backbone.trainable_variables
    learning = {variable.path for variable in built.head.trainable_variables}
    assert learning == {variable.path for variable in built.whole.trainable_variables}
    assert len(built.whole.get_layer(built.feature_map).output.shape) == 4


@pytest.mark.parametrize("name", ["cnn", "mobilenet_v3_small"])
def test_backbone_and_head_of_other_architectures_equal_the_whole_network(
    networks: Networks, name: str
) -> None:
    built = networks(name)
    parts = built.head(built.backbone(images()))
    np.testing.assert_allclose(parts, built.whole(images()), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architectures_with_plain_convolutions_are_marked(networks: Networks, name: str) -> None:
    layers = networks(name).whole.layers
    depthwise = any(isinstance(layer, keras.layers.DepthwiseConv2D) for layer in layers)
    assert architecture(name).plain is not depthwise


def test_only_the_cnn_trains_on_images(networks: Networks) -> None:
    assert [name for name in ARCHITECTURES if networks(name).learns_from_images] == ["cnn"]


@pytest.mark.parametrize("name", ["vgg16", "resnet50"])
def test_features_of_a_frozen_backbone_are_pooled(networks: Networks, name: str) -> None:
    (channels,) = networks(name).backbone.output_shape[1:]
    assert 38_568 * channels * 2 < 400e6


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large"])
def test_of_mobilenets_successors_the_blocks_after_the_last_downsampling_are_trained(
    networks: Networks, name: str
) -> None:
    features = networks(name).backbone.output_shape
    assert features[1:3] == (14, 14)
    assert networks(name).whole.get_layer(networks(name).feature_map).output.shape[1:3] == (7, 7)


def test_caffe_scaling_is_keras_own() -> None:
    pixels = images()
    expected = keras.applications.vgg16.preprocess_input(pixels.copy())
    np.testing.assert_allclose(CaffeScaling()(pixels), expected, rtol=1e-5, atol=1e-4)


def test_the_other_architectures_get_keras_own_scaling(networks: Networks) -> None:
    pixels = images()
    expected = keras.applications.mobilenet_v2.preprocess_input(pixels.copy())
    for name in ("cnn", "mobilenet", "mobilenet_v2"):
        found = networks(name).whole.get_layer("rescaling")(pixels)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    scaling = [
        layer
        for layer in networks("mobilenet_v3_small").whole.layers
        if isinstance(layer, keras.layers.Rescaling)
    ]
    assert len(scaling) == 1


def test_exactly_the_last_23_layers_of_mobilenet_are_trained(network: Network) -> None:
    layers = network.whole.layers
    assert layers[-23].name == "conv_dw_11_bn"
    assert not any(layer.trainable_variables for layer in layers[:-23])
    assert all(layer.trainable for layer in layers[-23:])


def test_backbone_and_head_equal_the_whole_network(network: Network) -> None:
    parts = network.head(network.backbone(images()))
    np.testing.assert_allclose(parts, network.whole(images()), rtol=1e-5, atol=1e-5)


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

    whole = gradients(network.whole, images())
    head = gradients(network.head, network.backbone(images()))
    assert len(whole) == len(head) == 21
    for expected, found in zip(whole, head, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_the_seed_decides_the_head() -> None:
    mobilenet = architecture("mobilenet")
    first, again, other = (
        build(mobilenet, "random", seed).head.get_layer("logits").get_weights()[0]
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_an_unknown_architecture_error_lists_the_known_ones() -> None:
    with pytest.raises(TrainingError, match=r"'resnet'; there are: cnn, vgg16, .*mobilenet"):
        architecture("resnet")


def test_missing_weight_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailableError, match=r"mobilenet_1_0_224_tf_no_top\.h5"):
        build(architecture("mobilenet"), tmp_path, seed=0)


def test_a_folder_without_the_default_recipes_weights_takes_those_of_the_trainer(
    tmp_path: Path,
) -> None:
    chosen = architecture("efficientnet_lite0")
    found = find_weights(tmp_path, chosen)
    assert found is not None
    assert found.name == chosen.weights_file
    (tmp_path / found.name).write_bytes(b"")
    assert find_weights(tmp_path, chosen) == tmp_path / found.name


def test_weights_in_neither_place_are_none(tmp_path: Path) -> None:
    assert find_weights(tmp_path, architecture("mobilenet")) is None
    unpublished = replace(EFFICIENTNET_LITE0.published, package="no_such_package_of_weights")
    base = replace(EFFICIENTNET_LITE0, published=unpublished)
    assert find_weights(tmp_path, replace(architecture("efficientnet_lite0"), base=base)) is None


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    path = tmp_path / "mobilenet_1_0_224_tf_no_top.h5"
    other.save_weights(tmp_path / "other.weights.h5")
    (tmp_path / "other.weights.h5").rename(path)
    with pytest.raises(WeightsError, match="does not hold the weights of mobilenet"):
        build(architecture("mobilenet"), tmp_path, seed=0)


def test_weights_of_another_width_are_refused(tmp_path: Path) -> None:
    slim = keras.applications.MobileNet(
        include_top=False, input_shape=(224, 224, 3), weights=None, alpha=0.25
    )
    slim.save_weights(tmp_path / "slim.weights.h5")
    (tmp_path / "slim.weights.h5").rename(tmp_path / "mobilenet_1_0_224_tf_no_top.h5")
    with pytest.raises(WeightsError, match="does not hold the weights of mobilenet"):
        build(architecture("mobilenet"), tmp_path, seed=0)


def test_the_cnn_needs_no_weight_file_and_its_seed_decides_it(tmp_path: Path) -> None:
    cases: list[tuple[Weights, int]] = [(tmp_path, 1), ("random", 1), (tmp_path, 2)]
    first, again, other = (
        build(architecture("cnn"), weights, seed).whole.get_weights() for weights, seed in cases
    )
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_a_file_that_is_no_weight_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mobilenet_1_0_224_tf_no_top.h5").write_bytes(b"not HDF5")
    with pytest.raises(WeightsError, match="does not hold the weights of mobilenet"):
        build(architecture("mobilenet"), tmp_path, seed=0)


def test_a_failed_download_error_names_both_solutions() -> None:
    def offline(images: object, weights: str | None, seed: int) -> keras.Model:  # noqa: ARG001
        # What keras.utils.get_file raises when a download fails.
        raise Exception(f"URL fetch failure on {weights}")  # noqa: TRY002

    chosen = architecture("mobilenet")
    unreachable = replace(chosen, base=offline)
    with pytest.raises(
        WeightsUnavailableError, match=r"Connect to the network, or put .*--weights-dir"
    ):
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
