"""Folding of batch normalisation into the convolution before it, as inference runtimes do.

(w * x - mean) * gamma / sqrt(variance + epsilon) + beta is one convolution with a scaled kernel and
a bias (Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018, section 3.2).
"""

from collections.abc import Sequence
from typing import Final

import keras
import numpy as np
import numpy.typing as npt

from lentigo_trainer.models.graph import Step, followers, without

Floats = npt.NDArray[np.float64]

CONVOLUTIONS: Final = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def fold_batch_normalization(steps: Sequence[Step]) -> list[Step]:
    """Fold each batch normalisation that alone follows a convolution into it.

    Args:
        steps: of a network with its weights; its layers are not changed.

    Returns:
        The steps of a network that computes the same at inference.
    """
    after = followers(steps)
    folded: dict[str, keras.Layer] = {}
    gone: list[str] = []
    for step in steps:
        next_ = after[step.name]
        if _accepts_scale(step.layer) and len(next_) == 1 and _normalises(next_[0].layer):
            folded[step.name] = _scaled(step.layer, next_[0].layer)
            gone.append(next_[0].name)
    return [
        Step(step.name, folded.get(step.name, step.layer), step.inputs)
        for step in without(steps, gone)
    ]


def with_weights(
    layer: keras.Layer, kernel: Floats, bias: Floats, **changes: object
) -> keras.Layer:
    """Copy a convolution, with other weights and settings."""
    copy = type(layer).from_config({**layer.get_config(), "use_bias": True, **changes})
    # The third dimension of both kinds of kernel is the number of input channels.
    copy.build((None, None, None, kernel.shape[2]))
    copy.set_weights([kernel.astype(np.float32), bias.astype(np.float32)])
    return copy


def weights_of(layer: keras.Layer) -> tuple[Floats, Floats]:
    """Return kernel and bias of a convolution; without one, the bias is zero."""
    kernel, *bias = (np.asarray(value, np.float64) for value in layer.get_weights())
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    outputs = kernel.shape[-2] * kernel.shape[-1] if depthwise else kernel.shape[-1]
    return kernel, bias[0] if bias else np.zeros(outputs)


def _accepts_scale(layer: keras.Layer) -> bool:
    return (
        isinstance(layer, CONVOLUTIONS)
        and layer.activation is keras.activations.linear
        and not layer.use_bias
    )


def _normalises(layer: keras.Layer) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization)


def _scaled(layer: keras.Layer, norm: keras.layers.BatchNormalization) -> keras.Layer:
    gamma, beta, mean, variance = (
        np.asarray(value, np.float64)
        for value in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    )
    scale = gamma / np.sqrt(variance + norm.epsilon)
    kernel = np.asarray(layer.get_weights()[0], np.float64)
    # A depthwise kernel is [h, w, channels, 1], any other [h, w, in, out].
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    kernel = kernel * (scale[:, None] if depthwise else scale)
    return with_weights(layer, kernel, beta - mean * scale)
