"""A moving average of the weights, which is what is measured and exported."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import keras
from keras import ops


class WeightAverage:
    """An exponential moving average of weights, the normalisations' statistics included.

    Early on it follows faster, so that the values the network started from do not linger:
    decay = min(decay, (1 + steps) / (10 + steps)), as TensorFlow's own average does it (Polyak and
    Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992, for the idea).

    Args:
        weights: what is averaged.
        decay: share of the average that one step keeps.

    Attributes:
        variables: what a checkpoint keeps.
    """

    def __init__(self, weights: Sequence[keras.Variable], decay: float) -> None:
        self._weights = list(weights)
        self._decay = decay
        self._steps = keras.Variable(0.0, dtype="float32", trainable=False, name="averaged_steps")
        self._averages = [
            # A copy: handed the variable itself, Keras would share it.
            keras.Variable(weight.numpy(), dtype=weight.dtype, trainable=False, name="average")
            for weight in self._weights
        ]
        self.variables: list[keras.Variable] = [self._steps, *self._averages]

    def follow(self) -> None:
        """Take in the weights as they are after a step."""
        decay = ops.minimum(self._decay, (1 + self._steps) / (10 + self._steps))
        self._steps.assign(self._steps + 1)
        for average, weight in zip(self._averages, self._weights, strict=True):
            average.assign(weight + decay * (average - weight))

    def use(self) -> None:
        """Put the average into the network, in place of its weights."""
        for average, weight in zip(self._averages, self._weights, strict=True):
            weight.assign(average)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Put the average into the network for a while."""
        kept = [weight.numpy() for weight in self._weights]
        self.use()
        yield
        for weight, value in zip(self._weights, kept, strict=True):
            weight.assign(value)
