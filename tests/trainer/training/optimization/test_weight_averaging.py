import keras
import numpy as np
import pytest

from lentigo_trainer.training.optimization.weight_averaging import MovingAverage


def weight() -> keras.Variable:
    return keras.Variable(np.zeros(2, np.float32))


def test_the_moving_average_adapts_fast_then_keeps_its_decay() -> None:
    moved = weight()
    average = MovingAverage([moved], 0.2)
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
    average = MovingAverage([moved], 0.9)
    moved.assign([3.0, 4.0])
    with average.applied():
        assert moved.numpy().tolist() == [0.0, 0.0]
    assert moved.numpy().tolist() == [3.0, 4.0]


def test_applying_the_average_replaces_the_weights() -> None:
    moved = weight()
    average = MovingAverage([moved], 0.9)
    moved.assign([3.0, 4.0])
    average.apply()
    assert moved.numpy().tolist() == [0.0, 0.0]
