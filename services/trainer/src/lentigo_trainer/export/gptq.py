"""Rounding to int8 by GPTQ: the weights change so that the output changes least.

Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers"
(ICLR 2023). `quantization` applies it layer by layer.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Weights = npt.NDArray[np.float64]

LEVELS: Final = 127
"""LiteRT's symmetric int8 for weights: -127 to 127 times the scale of the channel."""

# Added to the diagonal of the covariance, relative to its mean; the value of the GPTQ paper.
_DAMPING: Final = 0.01


def refit_weights(weights: Weights, covariance: Weights, cross: Weights) -> Weights:
    """Fit weights to inaccurate inputs, so that the outputs are as close as possible.

    Ridge regression of the outputs for the exact inputs on the actual inputs, shrunk towards the
    original weights.

    Args:
        weights: [..., inputs, outputs].
        covariance: of the actual inputs, [..., inputs, inputs].
        cross: covariance of the actual inputs (rows) with the exact ones (columns).
    """
    change = np.linalg.solve(_damped(covariance), (cross - covariance) @ weights)
    return weights + change.astype(np.float64)


def round_weights(weights: Weights, covariance: Weights) -> Weights:
    """Round weights to values that int8 can hold.

    The scale of a channel is its largest weight divided by 127, and that weight is not changed: a
    converter that computes the scale finds the same one, and changes nothing.

    Args:
        weights: [..., inputs, outputs]; each output is a channel with its own scale.
        covariance: of the inputs, [..., inputs, inputs].

    Returns:
        Weights of the same shape, each an integer multiple of its channel's scale.
    """
    inputs = weights.shape[-2]
    size = np.abs(weights)
    scale = np.maximum(size.max(axis=-2), np.finfo(np.float32).tiny) / LEVELS
    largest = size.argmax(axis=-2)
    # Row i of the upper factor says how the later weights compensate an error in weight i.
    factor = np.swapaxes(np.linalg.cholesky(np.linalg.inv(_damped(covariance))), -1, -2)
    remaining, result = weights.copy(), np.empty_like(weights)
    for row in range(inputs):
        target = remaining[..., row, :]
        steps = np.clip(np.round(target / scale), -LEVELS, LEVELS)
        limit = np.sign(weights[..., row, :]) * LEVELS
        result[..., row, :] = np.where(largest == row, limit, steps) * scale
        error = (target - result[..., row, :]) / factor[..., row, row][..., None]
        later = factor[..., row, row + 1 :]
        remaining[..., row + 1 :, :] -= later[..., None] * error[..., None, :]
    return result


def _damped(covariance: Weights) -> Weights:
    inputs = covariance.shape[-1]
    mean = np.trace(covariance, axis1=-2, axis2=-1)[..., None, None] / inputs
    damping = np.maximum(_DAMPING * mean, np.finfo(np.float32).eps)
    damped: Weights = covariance + np.eye(inputs) * damping
    return damped
