import keras
import numpy as np
import pytest

from lentigo_trainer.training.weight_averaging import WeightAverage, moving_average, uniform_mean


def weight() -> keras.Variable:
    return keras.Variable(np.zeros(2, np.float32))


def test_the_moving_average_adapts_fast_then_keeps_its_decay() -> None:
    moved = weight()
    average = WeightAverage([moved], moving_average(0.2))
    moved.assign([1.0, 2.0])
    average.update()  # (1 + 0) / (10 + 0) is below the decay
    with average.applied():
        assert moved.numpy() == pytest.approx([0.9, 1.8])
    for _ in range(5):
        average.update()
    expected = 1 - 0.1 * (2 / 11) * 0.2**4
    with average.applied():
        assert moved.numpy() == pytest.approx([expected, 2 * expected])


def test_the_weights_return_after_the_average_was_applied() -> None:
    moved = weight()
    average = WeightAverage([moved], moving_average(0.9))
    moved.assign([3.0, 4.0])
    with average.applied():
        assert moved.numpy().tolist() == [0.0, 0.0]
    assert moved.numpy().tolist() == [3.0, 4.0]


def test_applying_the_average_replaces_the_weights() -> None:
    moved = weight()
    average = WeightAverage([moved], moving_average(0.9))
    moved.assign([3.0, 4.0])
    average.apply()
    assert moved.numpy().tolist() == [0.0, 0.0]


def test_a_uniform_average_is_the_mean_of_its_updates() -> None:
    moved = keras.Variable(np.array([9.0, 9.0], np.float32))
    average = WeightAverage([moved], uniform_mean)
    for values in ([1.0, 2.0], [3.0, 2.0], [5.0, 8.0]):
        moved.assign(values)
        average.update()
    average.apply()
    assert moved.numpy() == pytest.approx([3.0, 4.0])


def test_a_uniform_average_of_one_update_is_that_update() -> None:
    moved = keras.Variable(np.array([9.0], np.float32))
    average = WeightAverage([moved], uniform_mean)
    moved.assign([0.3])
    average.update()
    moved.assign([7.0])
    average.apply()
    assert moved.numpy() == pytest.approx([0.3])
