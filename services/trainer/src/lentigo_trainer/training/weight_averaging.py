"""Averages of the weights, which are evaluated and exported in place of the weights themselves."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import keras
from keras import ops

Decay = Callable[[keras.KerasTensor], keras.KerasTensor]
"""From the number of updates so far to the share of the average that the next update keeps."""


def moving_average(decay: float) -> Decay:
    """Return the decay of an exponential moving average, smaller in the first steps.

    The smaller decay makes the average forget the initial values of the network sooner. It is
    min(decay, (1 + steps) / (10 + steps)), as in TensorFlow's own average (Polyak
    and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992, for the idea).
    """
    return lambda steps: ops.minimum(decay, (1 + steps) / (10 + steps))


def uniform_mean(steps: keras.KerasTensor) -> keras.KerasTensor:
    """Return the decay that makes the average the mean of all updates.

    It averages the networks at the end of each learning rate cycle: they lie in different places of
    one basin of the loss, and their mean is better than each of them (Izmailov et al., "Averaging
    Weights Leads to Wider Optima and Better Generalization", UAI 2018; docs/experiments.md has the
    measurements).
    """
    return steps / (1 + steps)


class WeightAverage:
    """A running average of weights, including the statistics of batch normalisation.

    Args:
        weights: the variables to average.
        decay: see `Decay`.

    Attributes:
        variables: the state of the average, for a checkpoint.
    """

    def __init__(self, weights: Sequence[keras.Variable], decay: Decay) -> None:
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
        decay = self._decay(self._steps)
        self._steps.assign(self._steps + 1)
        for average, weight in zip(self._averages, self._weights, strict=True):
            average.assign(weight + decay * (average - weight))

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
