"""Prepare a network for int8: kernels on the int8 grid, biases corrected.

Plain rounding costs MobileNet its accuracy: the weights of its first depthwise kernels nearly
cancel, rounding leaves a constant error, and every later layer adds to it. Instead, each layer in
turn is

1. freed of batch normalisation, which is folded into the convolution in front of it, as inference
   runtimes run it;
2. refitted to the inputs that it gets from the layers rounded before;
3. rounded by GPTQ (Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative
   Pre-trained Transformers", ICLR 2023) so that its output changes least, not its weights: one
   weight after the other is rounded, and the later ones make up for the error on the given inputs;
4. corrected in its bias by what is left of the mean error (Nagel et al., "Data-Free Quantization
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

from lentigo_trainer.models.classifier import Network
from lentigo_trainer.system.progress import Progress

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


Floats = npt.NDArray[np.float64]

CONVOLUTIONS: Final = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def chain_of(whole: keras.Model) -> list[keras.Layer] | None:
    """Return a network's layers after its input if each feeds the next alone, else None."""
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
    return Network(whole=whole, backbone=whole, head=whole, feature_map=like.feature_map)


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


Values = npt.NDArray[np.float32]

# Three feature maps of all the pictures at once, at most. MobileNet needs 1.3 GB.
_MEMORY_BYTES: Final = 2 * 10**9

# Pictures run at once, and places of a feature map that a covariance is computed from.
_BATCH: Final = 16
_PLACES: Final = 20_000


def stays_in_float(layers: Sequence[keras.Layer]) -> tuple[str, ...]:
    """Name the layers that are neither rounded nor computed in int8: the first, and depthwise ones.

    They are 4 % of MobileNet's arithmetic, and in float32 they cost no time that could be measured.
    A depthwise kernel has nine weights to make up for what rounding each of them does, and what the
    first layer loses is lost to all others; docs/decisions/0008-int8-by-gptq.md has the figures.

    Args:
        layers: of a network, in order.
    """
    found = [layer for layer in layers if isinstance(layer, CONVOLUTIONS)]
    return tuple(
        layer.name
        for place, layer in enumerate(found)
        if place == 0 or isinstance(layer, keras.layers.DepthwiseConv2D)
    )


def quantizable(network: Network, images: npt.NDArray[np.uint8], progress: Progress) -> Network:
    """Round a network's convolutions to int8, but for those that stay in float32.

    Memory: three feature maps of all the pictures, 10 MB a picture for MobileNet. A network that
    would need more than 2 GB has far larger maps than those this method was made for, and is left
    to the converter's own rounding.

    Args:
        network: the trained network; it is not changed. One whose layers form no chain, or whose
            feature maps are too large, is given back as it is.
        images: uint8 [n, 224, 224, 3], of the training side, some of every class.
        progress: told how many layers are done.

    Returns:
        A network for inference alone; those convolutions have float32 kernels that int8 holds
        exactly, and all other layers compute as those of the other one.
    """
    layers = chain_of(network.whole)
    if layers is None or _maps_bytes(layers, len(images)) > _MEMORY_BYTES:
        return network
    draw = np.random.default_rng(0)
    exact = rough = images.astype(np.float32)
    done: list[keras.Layer] = []
    layers = folded(layers)
    in_float = stays_in_float(layers)
    with progress.track("Rounding to int8", total=len(layers), unit="layers") as step:
        for layer in layers:
            if isinstance(layer, CONVOLUTIONS):
                kernel, bias = _weights(layer)
                linear = with_weights(layer, kernel, bias, activation="linear")
                # A layer that stays in float32 is refitted too: it makes up for the rounding
                # of those in front of it.
                to_grid = layer.name not in in_float
                kernel = _refitted(linear, kernel, exact, rough, draw, to_grid=to_grid)
                # Each map takes the place of the one it is computed from: few are there at once.
                exact = _run(linear, exact)
                rough = _run(with_weights(linear, kernel, bias), rough)
                correction = (exact - rough).mean(axis=tuple(range(rough.ndim - 1)))
                done.append(with_weights(layer, kernel, bias + correction))
                rough += correction
                exact, rough = (np.asarray(layer.activation(each)) for each in (exact, rough))
            else:
                done.append(layer)
                exact = _run(layer, exact)
                rough = _run(layer, rough)
                if isinstance(layer, keras.layers.ReLU):
                    _to_steps(rough)
            step.advance()
    return network_of(done, network)


def _maps_bytes(layers: list[keras.Layer], pictures: int) -> int:
    largest = max(int(np.prod(layer.output.shape[1:])) for layer in layers)
    return 3 * pictures * largest * np.dtype(np.float32).itemsize


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
    """Round what a ReLU gives to the 256 values that int8 leaves it, in place."""
    scale = values.max() / np.float32(255)
    if scale > 0:
        values /= scale
        np.round(values, out=values)
        values *= scale


def _refitted(
    layer: keras.Layer,
    kernel: npt.NDArray[np.float64],
    exact: Values,
    rough: Values,
    draw: np.random.Generator,
    *,
    to_grid: bool,
) -> npt.NDArray[np.float64]:
    """Fit a kernel to the inputs `rough`, towards what it gives for `exact`."""
    wanted, seen = _inputs(layer, exact, rough, draw)
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    if depthwise:
        # Each channel is a layer of its own: [m, h * w * channels] -> [channels, m, h * w].
        channels = kernel.shape[2]
        wanted, seen = (
            each.reshape(len(each), -1, channels).transpose(2, 0, 1) for each in (wanted, seen)
        )
        flat = kernel.reshape(-1, channels).T[..., None]
    else:
        flat = kernel.reshape(-1, kernel.shape[-1])
    # The bias takes up the means.
    wanted = wanted - wanted.mean(axis=-2, keepdims=True)
    seen = seen - seen.mean(axis=-2, keepdims=True)
    turned = np.swapaxes(seen, -1, -2)
    covariance, cross = (
        (turned @ each).astype(np.float64) / seen.shape[-2] for each in (seen, wanted)
    )
    result = refitted_weights(flat, covariance, cross)
    if to_grid:
        result = rounded_weights(result, covariance)
    return (result[..., 0].T if depthwise else result).reshape(kernel.shape)


def _inputs(
    layer: keras.Layer, exact: Values, rough: Values, draw: np.random.Generator
) -> tuple[Values, Values]:
    """Return what single outputs are computed from, float32 [m, inputs], at places by chance.

    Both come from the same places.
    """
    blocks: tuple[list[Values], list[Values]] = ([], [])
    share = max(1, _PLACES // len(rough))
    for start in range(0, len(rough), _BATCH):
        batch = slice(start, start + _BATCH)
        places = math.prod(layer.compute_output_shape(rough[batch].shape)[:-1])
        chosen = draw.permutation(places)[: share * len(rough[batch])]
        for block, values in zip(blocks, (exact, rough), strict=True):
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
