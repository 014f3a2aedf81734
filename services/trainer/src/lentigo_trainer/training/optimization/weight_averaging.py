"""The moving average of the weights, which is evaluated and exported in place of the weights."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import keras
from keras import ops


class MovingAverage:
    """An exponential moving average of weights, including the statistics of batch normalisation.

    The first steps keep less of it, so that it soon forgets the initial values of the network: an
    update keeps min(decay, (1 + steps) / (10 + steps)), as in TensorFlow's own average (Polyak and
    Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992, for the idea).

    Args:
        weights: the variables to average.
        decay: share of the average that an update keeps, 0 to below 1.

    Attributes:
        variables: the state of the average, for a checkpoint.
    """

    def __init__(self, weights: Sequence[keras.Variable], decay: float) -> None:
        self._weights = list(weights)
        self._decay = decay
        self._steps = keras.Variable(0.0, dtype="float32", trainable=False, name="averaged_steps")
        self._averages = [
            # A copy, because Keras would share the variable itself.
            keras.Variable(weight.numpy(), dtype=weight.dtype, trainable=False, name="average")
            for weight in self._weights
        ]
        self.variables: list[keras.Variable] = [self._steps, *self._averages]

    def update(self) -> None:
        """Update the average with the current weights."""
        kept = ops.minimum(self._decay, (1 + self._steps) / (10 + self._steps))
        self._steps.assign(self._steps + 1)
        for average, weight in zip(self._averages, self._weights, strict=True):
            average.assign(weight + kept * (average - weight))

    def apply(self) -> None:
        """Replace the network's weights by the average."""
        for average, weight in zip(self._averages, self._weights, strict=True):
            weight.assign(average)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Replace the network's weights by the average within this block."""
        kept = [weight.numpy() for weight in self._weights]
        self.apply()
        yield
        for weight, value in zip(self._weights, kept, strict=True):
            weight.assign(value)
