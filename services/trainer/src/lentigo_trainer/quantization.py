"""A network made ready for eight bits: its kernels on the int8 grid, its biases corrected.

Plain rounding costs MobileNet its accuracy: its first depthwise layers have kernels whose weights
nearly cancel, rounding leaves a constant error, and every later layer adds to it. Here each layer
in turn is refitted and rounded by `rounding` for the inputs that it gets from the rounded layers
before, and its bias takes up what is left of the mean error (Nagel et al., "Data-Free Quantization
Through Weight Equalization and Bias Correction", ICCV 2019). The
figures are in docs/decisions/0008-int8-by-gptq.md.
"""

import math
from collections.abc import Sequence
from typing import Final

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_trainer.folding import CONVOLUTIONS, chain_of, folded, network_of, with_weights
from lentigo_trainer.models.classifier import Network
from lentigo_trainer.rounding import refitted_weights, rounded_weights
from lentigo_trainer.system.progress import Progress

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
                # One that stays in float32 is refitted all the same: it makes up for the rounding
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
    """Give what single outputs are computed from, float32 [m, inputs], at places by chance.

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
