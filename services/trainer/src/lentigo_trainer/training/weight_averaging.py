"""Averages of the weights, which are what is measured and exported."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import keras
from keras import ops

Decay = Callable[[keras.KerasTensor], keras.KerasTensor]
"""From how often an average has followed to the share of it that is kept when it follows again."""


def moving_average(decay: float) -> Decay:
    """Keep a share, and less early on, so that the values the network started from do not linger.

    The share is min(decay, (1 + steps) / (10 + steps)), as TensorFlow's own average has it (Polyak
    and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992, for the idea).
    """
    return lambda steps: ops.minimum(decay, (1 + steps) / (10 + steps))


def uniform_mean(steps: keras.KerasTensor) -> keras.KerasTensor:
    """Keep what makes the average the mean of all that it followed.

    For the ends of a learning rate's rounds: they lie in different places of the same valley, and
    the middle between them does better than either (Izmailov et al., "Averaging Weights Leads to
    Wider Optima and Better Generalization", UAI 2018; figures in docs/experiments.md).
    """
    return steps / (1 + steps)


class WeightAverage:
    """An average of weights, the normalisations' statistics included, that follows them.

    Args:
        weights: what is averaged.
        decay: see `Decay`.

    Attributes:
        variables: what a checkpoint keeps.
    """

    def __init__(self, weights: Sequence[keras.Variable], decay: Decay) -> None:
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
        """Take in the weights as they are now."""
        decay = self._decay(self._steps)
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
