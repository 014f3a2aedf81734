"""Cross-entropy with adjusted logits: what is rare while learning is not made rare in the answers.

Menon et al., "Long-Tail Learning via Logit Adjustment" (ICLR 2021), section 5: to each logit the
logarithm of its class's prior is added while learning, and left out afterwards. With strength 1
the answers are then those for classes that are all alike often.
"""

from collections.abc import Callable

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from lentigo_trainer.data.random_augmentation import Shares

Loss = Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor]


def adjusted_cross_entropy(shares: Shares, strength: float, smoothing: float) -> Loss:
    """Make the loss.

    Args:
        shares: how often each class is drawn, [7]; one that is never drawn is not adjusted.
        strength: of the adjustment; 0 for plain cross-entropy.
        smoothing: share of a label that is spread evenly over all classes.

    Returns:
        A function of targets [n, 7], whose rows sum to 1, and logits [n, 7] that gives the mean
        loss, in nats.
    """
    adjustment = _logarithms(shares, strength)
    classes = len(shares)

    def loss(targets: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
        wanted = targets * (1 - smoothing) + smoothing / classes
        likelihood = ops.log_softmax(logits + adjustment, axis=-1)
        return -ops.mean(ops.sum(wanted * likelihood, axis=-1))

    return loss


def restore_frequencies(logits: keras.layers.Dense, frequencies: Shares, power: float) -> None:
    """Add to a layer's biases what makes frequent classes more probable again.

    With the loss above, the answers are those for classes that are all alike often. A power of 1
    would make them those for the frequencies of the training images; what lies between weighs right
    answers against right answers in every class (section 4 of the same paper, backwards).

    Args:
        logits: the layer that gives them; its biases, [7], are changed in place.
        frequencies: each class's share of the training images, [7]; one without any is left alone.
        power: of the frequency.
    """
    logits.bias.assign(logits.bias + _logarithms(frequencies, power))


def _logarithms(shares: Shares, strength: float) -> npt.NDArray[np.float32]:
    """Give so many times the logarithm of each share, 0 for a class without any."""
    return (strength * np.log(np.where(shares > 0, shares, 1.0))).astype(np.float32)
