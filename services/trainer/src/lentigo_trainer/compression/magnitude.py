"""Unstructured pruning: the smallest weights become 0 and stay 0 while the others are fine-tuned.

Han et al., "Learning both Weights and Connections for Efficient Neural Networks", NeurIPS 2015. The
share of zeros rises along a cubic curve, fast at first, so that the network can recover between
cuts (Zhu and Gupta, "To Prune, or Not to Prune", 2017, equation 1). Pointwise and dense kernels are
pruned, each to the same share; they hold nearly all weights. The stem's and the depthwise kernels
have few, and each of those matters.

The file stays as large as before, because it is written densely: only compression makes it smaller,
and nothing makes it faster (XNNPACK has sparse kernels, but LiteRT takes them for float32 networks
of a certain shape alone).
"""

from collections.abc import Sequence
from typing import Final

import keras
import numpy as np
import tensorflow as tf

from lentigo_trainer.errors import TrainingError

_EVERY: Final = 25
"""Steps between two cuts."""


class MagnitudePruning:
    """Keeps the smallest weights of some kernels at 0; a `fine_tuning.Constraint`.

    Args:
        network: whose pointwise and dense kernels to prune.
        share: of their weights that end at 0, above 0 and below 1.
        ramp: steps over which the share rises; 0 cuts all at once, before the first.

    Attributes:
        kernels: the pruned ones.
        variables: the state, for a checkpoint: the number of steps, and what stays of each kernel.

    Raises:
        TrainingError: an impossible share, or a network without such kernels.
    """

    def __init__(self, network: keras.Model, share: float, ramp: int) -> None:
        if not 0 < share < 1:
            raise TrainingError(
                f"A share of {share:g} of the weights cannot be pruned. It must be above 0 and "
                "below 1, such as 0.5."
            )
        self.kernels = prunable_kernels(network)
        self._share = share
        self._ramp = ramp
        self._steps = keras.Variable(0.0, dtype="float32", trainable=False, name="pruned_steps")
        self._masks = [
            keras.Variable(np.ones(kernel.shape), dtype="float32", trainable=False, name="mask")
            for kernel in self.kernels
        ]
        self.variables: list[keras.Variable] = [self._steps, *self._masks]
        if not ramp:
            self._cut()

    def apply(self) -> None:
        """Set the pruned weights to 0, after a step of the optimiser; cut more if it is time."""
        self._steps.assign(self._steps + 1)
        steps = tf.convert_to_tensor(self._steps)
        is_time = (steps <= self._ramp) & (
            (tf.math.floormod(steps, _EVERY) == 0) | (steps == self._ramp)
        )

        def cut() -> tf.Tensor:
            self._cut()
            return tf.constant(0)

        tf.cond(is_time, cut, lambda: tf.constant(0))
        self.hold()

    def hold(self) -> None:
        """Set the pruned weights to 0."""
        for kernel, mask in zip(self.kernels, self._masks, strict=True):
            kernel.assign(kernel * mask)

    def _cut(self) -> None:
        share = self._share_now()
        for kernel, mask in zip(self.kernels, self._masks, strict=True):
            # What was cut stays cut: its weight is 0, and so among the smallest.
            sizes = tf.abs(tf.convert_to_tensor(kernel)) * tf.convert_to_tensor(mask)
            flat = tf.reshape(sizes, [-1])
            count = tf.cast(tf.round(share * tf.cast(tf.size(flat), tf.float32)), tf.int32)
            order = tf.argsort(flat, stable=True)
            kept = tf.scatter_nd(
                order[count:, None],
                tf.ones_like(flat[count:]),
                tf.shape(flat),
            )
            mask.assign(tf.reshape(kept, mask.shape))
        self.hold()

    def _share_now(self) -> tf.Tensor:
        if not self._ramp:
            return tf.constant(self._share)
        left = 1 - tf.minimum(tf.convert_to_tensor(self._steps) / self._ramp, 1.0)
        return self._share * (1 - left**3)


def prunable_kernels(network: keras.Model) -> list[keras.Variable]:
    """Return the kernels of a network's pointwise convolutions and dense layers.

    Raises:
        TrainingError: it has none.
    """
    kernels = [
        layer.kernel
        for layer in network.layers
        if isinstance(layer, keras.layers.Dense)
        or (isinstance(layer, keras.layers.Conv2D) and tuple(layer.kernel_size) == (1, 1))
    ]
    if not kernels:
        raise TrainingError(
            "The network has neither pointwise convolutions nor dense layers to prune."
        )
    return kernels


def zeros(kernels: Sequence[keras.Variable]) -> float:
    """Return the share of weights that are 0, 0..1."""
    values = [np.asarray(kernel) for kernel in kernels]
    return sum(int((each == 0).sum()) for each in values) / sum(each.size for each in values)
