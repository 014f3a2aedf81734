"""Cross-entropy with logit adjustment, so that rare classes are not predicted too rarely.

Menon et al., "Long-Tail Learning via Logit Adjustment" (ICLR 2021), section 5: during training the
logarithm of a class's prior is added to its logit; for prediction it is not. With strength 1 the
predictions are then those for classes of equal frequency.
"""

from collections.abc import Callable

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from lentigo_trainer.data.sampling import Shares

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


def restore_frequencies(logits: keras.layers.Dense, frequencies: Shares, power: float) -> None:
    """Add class frequencies back to a layer's biases, so that frequent classes are more probable.

    With the loss above, predictions are those for classes of equal frequency. A power of 1 makes
    them those for the frequencies of the training images; a power in between trades accuracy
    against balanced accuracy (the reverse of section 4 of the same paper).

    Args:
        logits: the layer that computes the logits; its biases, [7], are changed in place.
        frequencies: each class's share of the training images, [7]; a class without images keeps
            its bias.
        power: of the frequencies.
    """
    logits.bias.assign(logits.bias + _logarithms(frequencies, power))


def _logarithms(shares: Shares, strength: float) -> npt.NDArray[np.float32]:
    """Return `strength` times the logarithm of each share; 0 where the share is 0."""
    return (strength * np.log(np.where(shares > 0, shares, 1.0))).astype(np.float32)
