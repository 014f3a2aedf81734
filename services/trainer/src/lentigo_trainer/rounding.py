"""Weights rounded to eight bits so that the layer's output changes least, not the weights.

GPTQ (Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
Transformers", ICLR 2023): one weight after the other is rounded, and the error it causes on given
inputs is made up for by the weights that are still to come.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Weights = npt.NDArray[np.float64]

LEVELS: Final = 127
"""Symmetric int8 as LiteRT has it for weights: -127 to 127 times the channel's scale."""

# Added to the covariance's diagonal, relative to its mean; the paper's value.
_DAMPING: Final = 0.01


def refitted_weights(weights: Weights, covariance: Weights, cross: Weights) -> Weights:
    """Fit weights to inputs that are off, so that the outputs are as near as they can be.

    Ridge regression of the outputs for the true inputs on the inputs that are there, drawn towards
    the weights as they are.

    Args:
        weights: [..., inputs, outputs].
        covariance: of the inputs that are there, [..., inputs, inputs].
        cross: covariance of these (down) with the true ones (across).
    """
    change = np.linalg.solve(_damped(covariance), (cross - covariance) @ weights)
    return weights + change.astype(np.float64)


def rounded_weights(weights: Weights, covariance: Weights) -> Weights:
    """Round weights to what int8 can hold.

    A channel's scale is its largest weight by 127, and that weight stays as it is: a converter
    that looks for the scale finds this very one, and changes nothing any more.

    Args:
        weights: [..., inputs, outputs]; each output is a channel with a scale of its own.
        covariance: of the inputs, [..., inputs, inputs].

    Returns:
        Of the same shape, every weight a whole multiple of its channel's scale.
    """
    inputs = weights.shape[-2]
    size = np.abs(weights)
    scale = np.maximum(size.max(axis=-2), np.finfo(np.float32).tiny) / LEVELS
    largest = size.argmax(axis=-2)
    # Row i of the upper factor tells how the later weights make up for an error in weight i.
    factor = np.swapaxes(np.linalg.cholesky(np.linalg.inv(_damped(covariance))), -1, -2)
    left, result = weights.copy(), np.empty_like(weights)
    for place in range(inputs):
        wanted = left[..., place, :]
        steps = np.clip(np.round(wanted / scale), -LEVELS, LEVELS)
        whole = np.sign(weights[..., place, :]) * LEVELS
        result[..., place, :] = np.where(largest == place, whole, steps) * scale
        error = (wanted - result[..., place, :]) / factor[..., place, place][..., None]
        later = factor[..., place, place + 1 :]
        left[..., place + 1 :, :] -= later[..., None] * error[..., None, :]
    return result


def _damped(covariance: Weights) -> Weights:
    inputs = covariance.shape[-1]
    mean = np.trace(covariance, axis1=-2, axis2=-1)[..., None, None] / inputs
    damping = np.maximum(_DAMPING * mean, np.finfo(np.float32).eps)
    damped: Weights = covariance + np.eye(inputs) * damping
    return damped
