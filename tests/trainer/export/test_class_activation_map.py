import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from lentigo_contract.labels import CODES
from lentigo_trainer.errors import TrainingError
from lentigo_trainer.export.class_activation_map import class_activation, explain

Array = NDArray[np.float32]


def small_network(*hidden: int, pooled: bool = True, seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    image = keras.Input((12, 12, 3))
    scaled = keras.layers.Rescaling(1 / 127.5, -1)(image)
    conv = keras.layers.Conv2D(6, 3, strides=3, activation="relu", name="last")(scaled)
    pool = keras.layers.GlobalAveragePooling2D()(conv) if pooled else conv
    inner = keras.layers.Flatten()(pool)
    for units in hidden:
        inner = keras.layers.Dense(units, activation="relu", bias_initializer="random_normal")(
            inner
        )
    inner = keras.layers.Dropout(0.5)(inner)
    return keras.Model(image, keras.layers.Dense(len(CODES))(inner))


def images(n: int = 4) -> Array:
    return np.random.default_rng(1).integers(0, 256, (n, 12, 12, 3)).astype(np.float32)


def maps_of(whole: keras.Model, batch: Array) -> Array:
    explained = explain(whole, "last")
    features, *hidden, _ = explained.model(batch, training=False)
    return np.asarray(class_activation(features, hidden, explained))


def maps_by_gradient(whole: keras.Model, batch: Array) -> Array:
    """Grad-CAM as published: the gradient of each logit, averaged over the cells."""
    start = [layer.name for layer in whole.layers].index("last") + 1
    features = tf.constant(batch)
    for layer in whole.layers[1:start]:
        features = layer(features)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(features)
        tensor = features
        for layer in whole.layers[start:]:
            tensor = layer(tensor, training=False)
        logits = [tf.reduce_sum(tensor[:, number]) for number in range(len(CODES))]
    maps = []
    for logit in logits:
        alpha = tf.reduce_mean(tape.gradient(logit, features), axis=(1, 2), keepdims=True)
        maps.append(tf.nn.relu(tf.reduce_sum(alpha * features, axis=-1)))
    return np.stack([np.asarray(each) for each in maps], axis=-1)


@pytest.mark.parametrize("hidden", [(), (16,), (12, 10, 8)])
@pytest.mark.parametrize("pooled", [True, False])
def test_the_map_is_the_gradient_of_each_logit(hidden: tuple[int, ...], pooled: bool) -> None:
    network = small_network(*hidden, pooled=pooled)
    maps = maps_of(network, images())
    assert maps.shape == (4, 4, 4, 7)
    assert maps.max() > 1e-3
    np.testing.assert_allclose(maps, maps_by_gradient(network, images()), atol=1e-5)


def test_another_head_changes_the_map() -> None:
    network = small_network(16)
    before = maps_of(network, images())
    kernel = network.layers[-1].kernel
    kernel.assign(np.random.default_rng(2).permuted(np.asarray(kernel)))
    assert abs(maps_of(network, images()) - before).max() > 1e-3


def test_cells_add_up_to_the_logit_where_nothing_is_clipped() -> None:
    network = small_network()
    network.layers[-1].kernel.assign(abs(np.asarray(network.layers[-1].kernel)))
    logits = np.asarray(network(images(), training=False))
    np.testing.assert_allclose(maps_of(network, images()).sum(axis=(1, 2)), logits, rtol=1e-4)


def test_a_network_with_branches_outputs_the_right_feature_map() -> None:
    image = keras.Input((12, 12, 3))
    first = keras.layers.Conv2D(6, 3, strides=3, activation="relu")(image)
    second = keras.layers.Conv2D(6, 3, padding="same", activation="relu")(first)
    both = keras.layers.Add(name="last")([first, second])
    pooled = keras.layers.GlobalAveragePooling2D()(both)
    network = keras.Model(image, keras.layers.Dense(len(CODES))(pooled))
    features, logits = explain(network, "last").model(images(), training=False)
    assert features.shape == (4, 4, 4, 6)
    np.testing.assert_array_equal(logits, network(images(), training=False))


def test_the_network_is_not_changed() -> None:
    network = small_network(16)
    before = np.asarray(network(images(), training=False))
    explained = explain(network, "last")
    np.testing.assert_array_equal(explained.model(images(), training=False)[-1], before)
    np.testing.assert_array_equal(network(images(), training=False), before)


def test_a_head_whose_gradient_is_unknown_is_refused_by_name() -> None:
    image = keras.Input((12, 12, 3))
    features = keras.layers.Conv2D(6, 3, name="last")(image)
    inner = keras.layers.GlobalMaxPooling2D(name="the_highest")(features)
    network = keras.Model(image, keras.layers.Dense(7)(inner))
    with pytest.raises(TrainingError, match="the_highest"):
        explain(network, "last")


def test_a_network_that_ends_in_probabilities_is_refused() -> None:
    image = keras.Input((12, 12, 3))
    features = keras.layers.Conv2D(6, 3, name="last")(image)
    inner = keras.layers.GlobalAveragePooling2D()(features)
    network = keras.Model(image, keras.layers.Dense(7, activation="relu")(inner))
    with pytest.raises(TrainingError, match="logits"):
        explain(network, "last")
