"""Cross-entropy with logit adjustment, so that rare classes are not predicted too rarely.

Menon et al., "Long-Tail Learning via Logit Adjustment" (ICLR 2021), section 5: during training the
logarithm of a class's prior is added to its logit; for prediction it is not. With strength 1 the
predictions are then those for classes of equal frequency.
"""

from collections.abc import Callable
from typing import Final

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from lentigo_trainer.data.sampling import Shares

_IMPOSSIBLE: Final = -1e9
"""Added to the logit of a class that an image cannot show; finite, so that 0 times it is 0."""

Loss = Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor]


def adjusted_cross_entropy(shares: Shares, strength: float, smoothing: float) -> Loss:
    """Return the loss function.

    Args:
        shares: how often each class is drawn, [7]; a class that is never drawn is not adjusted.
        strength: of the adjustment; 0 for plain cross-entropy.
        smoothing: share of a label that is spread evenly over all classes.

    Returns:
        A function of targets [n, 7], whose rows sum to 1, and logits [n, 7]. It returns the mean
        loss, in nats.
    """
    adjustment = _logarithms(shares, strength)
    classes = len(shares)

    def loss(targets: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
        smoothed = targets * (1 - smoothing) + smoothing / classes
        likelihood = ops.log_softmax(logits + adjustment, axis=-1)
        return -ops.mean(ops.sum(smoothed * likelihood, axis=-1))

    return loss


def masked_cross_entropy(
    shares: Shares, known: npt.NDArray[np.bool_], strength: float, smoothing: float
) -> Loss:
    """Return the loss of images in k label spaces, each of some of the classes.

    The loss of an image speaks of the classes of its space: softmax and smoothing are over those,
    and the adjustment is by how often the space's images of each class are drawn.

    Args:
        shares: share of each class among a space's drawn images, [k, 7].
        known: which classes each space has, [k, 7].
        strength: of the adjustment; 0 for plain cross-entropy.
        smoothing: share of a label that is spread evenly over the known classes.

    Returns:
        A function of packed targets [n, 2, 8], see `extra_examples`, and logits [n, 7]. It returns
        the mean loss, in nats.
    """
    adjustment = np.where(known, _logarithms(shares, strength), _IMPOSSIBLE).astype(np.float32)
    spread = (known / np.maximum(known.sum(axis=1, keepdims=True), 1)).astype(np.float32)

    def loss(targets: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
        labels, space = targets[..., :-1], ops.cast(targets[..., -1], "int32")
        weights = ops.sum(labels, axis=-1, keepdims=True)
        smoothed = labels * (1 - smoothing) + smoothing * weights * ops.take(spread, space, axis=0)
        adjusted = logits[:, None] + ops.take(adjustment, space, axis=0)
        likelihood = ops.log_softmax(adjusted, axis=-1)
        return -ops.mean(ops.sum(smoothed * likelihood, axis=(1, 2)))

    return loss


def label_of(targets: keras.KerasTensor) -> keras.KerasTensor:
    """Return the class that weighs most in each target: [n, 7], or packed [n, 2, 8], to [n]."""
    flat = targets if len(targets.shape) == 2 else ops.sum(targets[..., :-1], axis=1)
    return ops.argmax(flat, axis=-1)


def _logarithms(shares: Shares, strength: float) -> npt.NDArray[np.float32]:
    """Return `strength` times the logarithm of each share; 0 where the share is 0."""
    return (strength * np.log(np.where(shares > 0, shares, 1.0))).astype(np.float32)
