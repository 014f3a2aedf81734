"""Prepare a network for int8: kernels on the int8 grid, biases corrected.

Plain rounding destroys the accuracy of MobileNet: the weights of its first depthwise kernels nearly
cancel, rounding leaves a constant error, and every later layer adds to it. Instead, one layer after
the other is treated like this:

1. its batch normalisation is folded into the convolution before it, as inference runtimes do;
2. it is refitted to the inputs that it gets from the layers rounded before;
3. it is rounded by GPTQ (Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative
   Pre-trained Transformers", ICLR 2023) so that its output changes least, not its weights: one
   weight after the other is rounded, and the later ones compensate the error on the given inputs;
4. its bias is corrected by the remaining mean error (Nagel et al., "Data-Free Quantization
   Through Weight Equalization and Bias Correction", ICCV 2019).

docs/decisions/0008-int8-by-gptq.md has the measurements.
"""

import math
from collections.abc import Sequence
from typing import Final

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_trainer.export.gptq import refit_weights, round_weights
from lentigo_trainer.models.classifier import Network
from lentigo_trainer.system.progress import Progress

Floats = npt.NDArray[np.float64]

CONVOLUTIONS: Final = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def chain_of(whole: keras.Model) -> list[keras.Layer] | None:
    """Return a network's layers after its input if each feeds only the next one, else None."""
    layers: list[keras.Layer] = []
    outputs: list[keras.KerasTensor] = []

    def follow(layer: keras.Layer, *args: object, **kwargs: object) -> keras.KerasTensor:
        if len(args) == 1 and (not outputs or args[0] is outputs[-1]):
            layers.append(layer)
        outputs.append(layer(*args, **kwargs))
        return outputs[-1]

    keras.models.clone_model(whole, clone_function=lambda layer: layer, call_function=follow)
    return layers if len(layers) == len(outputs) else None


def fold_batch_normalization(layers: list[keras.Layer]) -> list[keras.Layer]:
    """Fold each batch normalisation that follows a convolution into it.

    (w * x - mean) * gamma / sqrt(variance + epsilon) + beta is one convolution with a scaled
    kernel and a bias (Jacob et al., "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference", CVPR 2018, section 3.2).

    Args:
        layers: the built layers of a chain; they are not changed.

    Returns:
        The layers of a chain that computes the same at inference.
    """
    result: list[keras.Layer] = []
    for layer in layers:
        before = result[-1] if result else None
        if isinstance(layer, keras.layers.BatchNormalization) and _accepts_scale(before):
            result[-1] = _scaled(before, layer)
        else:
            result.append(layer)
    return result


def with_weights(
    layer: keras.Layer, kernel: Floats, bias: Floats, **changes: object
) -> keras.Layer:
    """Copy a convolution, with other weights and settings."""
    copy = type(layer).from_config({**layer.get_config(), "use_bias": True, **changes})
    # The third dimension of both kinds of kernel is the number of input channels.
    copy.build((None, None, None, kernel.shape[2]))
    copy.set_weights([kernel.astype(np.float32), bias.astype(np.float32)])
    return copy


def network_of(layers: list[keras.Layer], like: Network) -> Network:
    """Chain layers into a network with the same input and feature map as another."""
    image = keras.Input(like.whole.input_shape[1:], name="image")
    tensor = image
    for layer in layers:
        tensor = layer(tensor)
    whole = keras.Model(image, tensor)
    return Network(whole=whole, backbone=whole, head=whole, feature_map=like.feature_map)


def _accepts_scale(layer: keras.Layer | None) -> bool:
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


Values = npt.NDArray[np.float32]

# At most three feature maps of all the images at once. MobileNet needs 1.3 GB.
_MEMORY_BYTES: Final = 2 * 10**9

# Images in a batch, and positions of a feature map that a covariance is computed from.
_BATCH: Final = 16
_POSITIONS: Final = 20_000


def layers_in_float(layers: Sequence[keras.Layer]) -> tuple[str, ...]:
    """Return the names of the layers that stay in float32: the first, and depthwise ones.

    They are 4 % of MobileNet's arithmetic, and in float32 they take no measurable extra time. A
    depthwise kernel has only nine weights to compensate rounding errors, and what the first layer
    loses is lost to all others; docs/decisions/0008-int8-by-gptq.md has the measurements.

    Args:
        layers: the layers of a network, in order.
    """
    convolutions = [layer for layer in layers if isinstance(layer, CONVOLUTIONS)]
    return tuple(
        layer.name
        for index, layer in enumerate(convolutions)
        if index == 0 or isinstance(layer, keras.layers.DepthwiseConv2D)
    )


def round_to_int8(network: Network, images: npt.NDArray[np.uint8], progress: Progress) -> Network:
    """Round a network's convolutions to int8, except those that stay in float32.

    Memory: three feature maps of all the images, 10 MB an image for MobileNet. A network that would
    need more than 2 GB has far larger feature maps than this method was made for, and is left to
    the converter's own rounding.

    Args:
        network: the trained network; it is not changed.
        images: uint8 [n, 224, 224, 3], training images, some of every class.
        progress: receives the number of finished layers.

    Returns:
        A network for inference only: its rounded convolutions have float32 kernels that int8 holds
        exactly, and all other layers compute the same as before. The network itself, if its layers
        form no chain or its feature maps are too large.
    """
    layers = chain_of(network.whole)
    if layers is None or _maps_bytes(layers, len(images)) > _MEMORY_BYTES:
        return network
    generator = np.random.default_rng(0)
    exact = rounded = images.astype(np.float32)
    done: list[keras.Layer] = []
    layers = fold_batch_normalization(layers)
    in_float = layers_in_float(layers)
    with progress.track("Rounding to int8", total=len(layers), unit="layers") as step:
        for layer in layers:
            if isinstance(layer, CONVOLUTIONS):
                kernel, bias = _weights(layer)
                linear = with_weights(layer, kernel, bias, activation="linear")
                # A layer that stays in float32 is refitted too: it compensates the rounding of
                # the layers before it.
                to_grid = layer.name not in in_float
                kernel = _refit(linear, kernel, exact, rounded, generator, to_grid=to_grid)
                # Each map replaces the one it is computed from, so that few exist at once.
                exact = _run(linear, exact)
                rounded = _run(with_weights(linear, kernel, bias), rounded)
                correction = (exact - rounded).mean(axis=tuple(range(rounded.ndim - 1)))
                done.append(with_weights(layer, kernel, bias + correction))
                rounded += correction
                exact, rounded = (np.asarray(layer.activation(each)) for each in (exact, rounded))
            else:
                done.append(layer)
                exact = _run(layer, exact)
                rounded = _run(layer, rounded)
                if isinstance(layer, keras.layers.ReLU):
                    _to_steps(rounded)
            step.advance()
    return network_of(done, network)


def _maps_bytes(layers: list[keras.Layer], images: int) -> int:
    largest = max(int(np.prod(layer.output.shape[1:])) for layer in layers)
    return 3 * images * largest * np.dtype(np.float32).itemsize


def _weights(layer: keras.Layer) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    kernel, *bias = (np.asarray(value, np.float64) for value in layer.get_weights())
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    outputs = kernel.shape[-2] * kernel.shape[-1] if depthwise else kernel.shape[-1]
    return kernel, bias[0] if bias else np.zeros(outputs)


def _run(layer: keras.Layer, values: Values) -> Values:
    result = np.empty(layer.compute_output_shape(values.shape), np.float32)
    for start in range(0, len(values), _BATCH):
        result[start : start + _BATCH] = layer(values[start : start + _BATCH], training=False)
    return result


def _to_steps(values: Values) -> None:
    """Round the output of a ReLU to the 256 values of int8, in place."""
    scale = values.max() / np.float32(255)
    if scale > 0:
        values /= scale
        np.round(values, out=values)
        values *= scale


def _refit(
    layer: keras.Layer,
    kernel: npt.NDArray[np.float64],
    exact: Values,
    rounded: Values,
    generator: np.random.Generator,
    *,
    to_grid: bool,
) -> npt.NDArray[np.float64]:
    """Fit a kernel to the inputs `rounded`, towards its outputs for `exact`."""
    target, actual = _inputs(layer, exact, rounded, generator)
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    if depthwise:
        # Each channel is its own layer: [m, h * w * channels] -> [channels, m, h * w].
        channels = kernel.shape[2]
        target, actual = (
            each.reshape(len(each), -1, channels).transpose(2, 0, 1) for each in (target, actual)
        )
        flat = kernel.reshape(-1, channels).T[..., None]
    else:
        flat = kernel.reshape(-1, kernel.shape[-1])
    # The bias absorbs the means.
    target = target - target.mean(axis=-2, keepdims=True)
    actual = actual - actual.mean(axis=-2, keepdims=True)
    transposed = np.swapaxes(actual, -1, -2)
    covariance, cross = (
        (transposed @ each).astype(np.float64) / actual.shape[-2] for each in (actual, target)
    )
    result = refit_weights(flat, covariance, cross)
    if to_grid:
        result = round_weights(result, covariance)
    return (result[..., 0].T if depthwise else result).reshape(kernel.shape)


def _inputs(
    layer: keras.Layer, exact: Values, rounded: Values, generator: np.random.Generator
) -> tuple[Values, Values]:
    """Return the inputs of single outputs, float32 [m, inputs], at random positions.

    Both arrays come from the same positions.
    """
    blocks: tuple[list[Values], list[Values]] = ([], [])
    share = max(1, _POSITIONS // len(rounded))
    for start in range(0, len(rounded), _BATCH):
        batch = slice(start, start + _BATCH)
        positions = math.prod(layer.compute_output_shape(rounded[batch].shape)[:-1])
        chosen = generator.permutation(positions)[: share * len(rounded[batch])]
        for block, values in zip(blocks, (exact, rounded), strict=True):
            block.append(_patches(layer, values[batch])[chosen])
    return np.concatenate(blocks[0]), np.concatenate(blocks[1])


def _patches(layer: keras.Layer, values: Values) -> Values:
    patches = tf.image.extract_patches(
        values,
        [1, *layer.kernel_size, 1],
        [1, *layer.strides, 1],
        [1, 1, 1, 1],
        layer.padding.upper(),
    )
    return np.asarray(patches).reshape(-1, patches.shape[-1])
