"""The mean of what a network was at the end of each round of its learning rate."""

from collections.abc import Sequence

import keras


class RoundAverage:
    """The mean of weights, the normalisations' statistics included, taken at the rounds' ends.

    The rounds end in different places of the same valley, and the middle between them does better
    than either (Izmailov et al., "Averaging Weights Leads to Wider Optima and Better
    Generalization", UAI 2018; figures in docs/experiments.md).

    Args:
        weights: what is averaged.

    Attributes:
        variables: what a checkpoint keeps.
    """

    def __init__(self, weights: Sequence[keras.Variable]) -> None:
        self._weights = list(weights)
        self._rounds = keras.Variable(0.0, dtype="float32", trainable=False, name="rounds")
        self._means = [
            keras.Variable(weight.numpy(), dtype=weight.dtype, trainable=False, name="round_mean")
            for weight in self._weights
        ]
        self.variables: list[keras.Variable] = [self._rounds, *self._means]

    def take_in(self) -> None:
        """Take in the weights as they are at the end of a round."""
        self._rounds.assign(self._rounds + 1)
        for mean, weight in zip(self._means, self._weights, strict=True):
            mean.assign(mean + (weight - mean) / self._rounds)

    def use(self) -> None:
        """Put the mean into the network, in place of its weights."""
        for mean, weight in zip(self._means, self._weights, strict=True):
            weight.assign(mean)
