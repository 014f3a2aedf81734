"""Mixup: each picture is blended with another of its batch, and its label likewise.

Zhang et al., "mixup: Beyond Empirical Risk Minimization" (ICLR 2018).
"""

import numpy as np
import numpy.typing as npt
import tensorflow as tf


def draw_weights(alpha: float, count: int, seed: int) -> npt.NDArray[np.float32]:
    """Draw how much of each picture stays.

    Args:
        alpha: of the Beta distribution that the weights come from, both its parameters; 0 leaves
            every picture as it is.
        count: how many pictures.
        seed: another for every epoch.

    Returns:
        float32 [count], 0.5 to 1: a picture keeps at least as much of itself as it takes on.
    """
    if alpha == 0:
        return np.ones(count, np.float32)
    weights = np.random.default_rng(seed).beta(alpha, alpha, count)
    return np.maximum(weights, 1 - weights).astype(np.float32)


def mixed(
    pictures: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Blend a batch with itself in reverse order.

    Args:
        pictures: float32 [n, h, w, 3].
        targets: float32 [n, 7], rows sum to 1.
        weights: float32 [n], 0 to 1: what stays of each.

    Returns:
        Both, in the same shapes.
    """
    of_picture, of_target = tf.reshape(weights, (-1, 1, 1, 1)), weights[:, None]
    return (
        of_picture * pictures + (1 - of_picture) * tf.reverse(pictures, [0]),
        of_target * targets + (1 - of_target) * tf.reverse(targets, [0]),
    )
