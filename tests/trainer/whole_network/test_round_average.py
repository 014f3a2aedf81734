import keras
import numpy as np
import pytest

from lentigo_trainer.whole_network.round_average import RoundAverage


def test_it_is_the_mean_of_what_was_taken_in() -> None:
    moved = keras.Variable(np.array([9.0, 9.0], np.float32))
    average = RoundAverage([moved])
    for values in ([1.0, 2.0], [3.0, 2.0], [5.0, 8.0]):
        moved.assign(values)
        average.take_in()
    average.use()
    assert moved.numpy() == pytest.approx([3.0, 4.0])


def test_of_one_round_it_is_that_rounds_end() -> None:
    moved = keras.Variable(np.array([9.0], np.float32))
    average = RoundAverage([moved])
    moved.assign([0.3])
    average.take_in()
    moved.assign([7.0])
    average.use()
    assert moved.numpy() == pytest.approx([0.3])
