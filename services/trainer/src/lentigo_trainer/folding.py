"""Batch normalisation folded into the convolution in front of it, as inference runtimes run it."""

from typing import Final

import keras
import numpy as np
import numpy.typing as npt

from lentigo_trainer.models.classifier import Network

Floats = npt.NDArray[np.float64]

CONVOLUTIONS: Final = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def chain_of(whole: keras.Model) -> list[keras.Layer] | None:
    """Give a network's layers behind its input if each feeds the next alone, else None."""
    layers: list[keras.Layer] = []
    outputs: list[keras.KerasTensor] = []

    def follow(layer: keras.Layer, *args: object, **kwargs: object) -> keras.KerasTensor:
        if len(args) == 1 and (not outputs or args[0] is outputs[-1]):
            layers.append(layer)
        outputs.append(layer(*args, **kwargs))
        return outputs[-1]

    keras.models.clone_model(whole, clone_function=lambda layer: layer, call_function=follow)
    return layers if len(layers) == len(outputs) else None


def folded(layers: list[keras.Layer]) -> list[keras.Layer]:
    """Fold each batch normalisation that follows a convolution into it.

    (w * x - mean) * gamma / sqrt(variance + epsilon) + beta is one convolution with a scaled
    kernel and a bias (Jacob et al., "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference", CVPR 2018, section 3.2).

    Args:
        layers: of a chain, built; they are not changed.

    Returns:
        The layers of a chain that computes the same, outside training.
    """
    result: list[keras.Layer] = []
    for layer in layers:
        before = result[-1] if result else None
        if isinstance(layer, keras.layers.BatchNormalization) and _takes_a_scale(before):
            result[-1] = _scaled(before, layer)
        else:
            result.append(layer)
    return result


def with_weights(
    layer: keras.Layer, kernel: Floats, bias: Floats, **changes: object
) -> keras.Layer:
    """Make a convolution like another, with other weights and settings."""
    twin = type(layer).from_config({**layer.get_config(), "use_bias": True, **changes})
    # Of either kind, the third dimension of the kernel is the channels that come in.
    twin.build((None, None, None, kernel.shape[2]))
    twin.set_weights([kernel.astype(np.float32), bias.astype(np.float32)])
    return twin


def network_of(layers: list[keras.Layer], like: Network) -> Network:
    """Chain layers to a network with the same input and feature map as another."""
    pictures = keras.Input(like.whole.input_shape[1:], name="image")
    tensor = pictures
    for layer in layers:
        tensor = layer(tensor)
    whole = keras.Model(pictures, tensor)
    return Network(whole=whole, trunk=whole, tail=whole, feature_map=like.feature_map)


def _takes_a_scale(layer: keras.Layer | None) -> bool:
    return (
        isinstance(layer, CONVOLUTIONS)
        and layer.activation is keras.activations.linear
        and not layer.use_bias
    )


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
