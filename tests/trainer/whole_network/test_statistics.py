"""Statistics of the normalisations, measured anew."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from lentigo_trainer.progress import SilentProgress
from lentigo_trainer.whole_network.statistics import measure_anew

Batches = list[NDArray[np.float32]]


def network() -> keras.Model:
    pictures = keras.Input((8, 8, 3))
    values = keras.layers.BatchNormalization(name="first", momentum=0.9)(pictures)
    values = keras.layers.BatchNormalization(name="second", momentum=0.8)(2 * values + 1)
    return keras.Model(pictures, keras.layers.GlobalAveragePooling2D()(values))


def batches(count: int = 3, seed: int = 0) -> Batches:
    draw = np.random.default_rng(seed)
    return [draw.normal(5, 2 + number, (4, 8, 8, 3)).astype(np.float32) for number in range(count)]


def measured(seen: Batches, start: float = 0.0) -> keras.Model:
    found = network()
    for layer in found.layers:
        for weight in layer.non_trainable_variables:
            weight.assign(weight + start)
    with SilentProgress().track("", total=None) as step:
        measure_anew(found, map(tf.constant, seen), step)
    return found


def test_they_are_the_mean_over_the_batches() -> None:
    seen = batches()
    first = measured(seen).get_layer("first")
    mean = np.mean([batch.mean(axis=(0, 1, 2)) for batch in seen], axis=0)
    variance = np.mean([batch.var(axis=(0, 1, 2)) for batch in seen], axis=0)
    assert first.moving_mean.numpy() == pytest.approx(mean, rel=1e-4)
    assert first.moving_variance.numpy() == pytest.approx(variance, rel=1e-3)


def test_what_was_known_before_does_not_count() -> None:
    seen = batches()
    left, right = (measured(seen, start).get_weights() for start in (0.0, 50.0))
    for one, other in zip(left, right, strict=True):
        assert one == pytest.approx(other, rel=1e-6)


def test_a_later_normalisation_sees_what_the_one_before_gives_while_learning() -> None:
    second = measured(batches()).get_layer("second")
    # Behind the first it is 0 +- 1, whatever came in; then doubled, and one more.
    assert second.moving_mean.numpy() == pytest.approx(np.ones(3), abs=1e-4)
    assert second.moving_variance.numpy() == pytest.approx(np.full(3, 4.0), rel=1e-2)


def test_nothing_else_is_changed() -> None:
    before, after = network(), measured(batches())
    for one, other in zip(before.trainable_variables, after.trainable_variables, strict=True):
        assert np.array_equal(one, other)
    assert [after.get_layer(name).momentum for name in ("first", "second")] == [0.9, 0.8]
