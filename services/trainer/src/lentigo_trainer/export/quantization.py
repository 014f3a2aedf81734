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
from itertools import pairwise
from typing import Final

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_trainer.errors import TrainingError
from lentigo_trainer.export.folding import (
    CONVOLUTIONS,
    fold_batch_normalization,
    weights_of,
    with_weights,
)
from lentigo_trainer.export.gptq import refit_weights, round_weights
from lentigo_trainer.models.classifier import Network
from lentigo_trainer.models.graph import Step, assemble, steps_of
from lentigo_trainer.system.progress import Progress

Values = npt.NDArray[np.float32]

# At most three feature maps of all the images at once. Of 140 images, MobileNet needs 1.3 GB and
# EfficientNet-Lite0 2.02 GB.
_MEMORY_BYTES: Final = 21 * 10**8

# Images in a batch, and positions of a feature map that a covariance is computed from.
_BATCH: Final = 16
_POSITIONS: Final = 20_000


def layers_in_float(network: keras.Model) -> tuple[str, ...]:
    """Return the names of the convolutions that stay in float32.

    These are the first one, the depthwise ones, and those that open a stage of inverted residual
    blocks: no activation follows them, and what they lose is in all sums of the stage. A depthwise
    kernel has only nine weights to compensate rounding errors, and what the first layer loses is
    lost to all others. docs/decisions/0008-int8-by-gptq.md and 0050-dynamic-int8.md have the
    measurements.

    Args:
        network: a functional model.
    """
    convolutions = [layer for layer in network.layers if isinstance(layer, CONVOLUTIONS)]
    opening = _opening_stages(network)
    return tuple(
        layer.name
        for index, layer in enumerate(convolutions)
        if index == 0 or isinstance(layer, keras.layers.DepthwiseConv2D) or layer.name in opening
    )


def _opening_stages(network: keras.Model) -> set[str]:
    """Return the convolutions whose output another convolution takes without an activation."""
    steps = _steps(network)
    if steps is None:
        return set()
    convolutions = [
        step for step in fold_batch_normalization(steps) if isinstance(step.layer, CONVOLUTIONS)
    ]
    taken = {name for step in convolutions for name in step.inputs}
    linear = keras.activations.linear
    return {
        step.name for step in convolutions if step.name in taken and step.layer.activation is linear
    }


def round_to_int8(
    network: Network,
    images: npt.NDArray[np.uint8],
    progress: Progress,
    *,
    branches: bool = False,
) -> Network:
    """Round a network's convolutions to int8, except those that stay in float32.

    Memory: three feature maps of all the images, 10 MB an image for MobileNet. A network that would
    need more than 2 GB has far larger feature maps than this method was made for, and is left to
    the converter's own rounding.

    Args:
        network: the trained network; it is not changed.
        images: uint8 [n, 224, 224, 3], training images, some of every class.
        progress: receives the number of finished layers.
        branches: whether to round networks with residual sums too. EfficientNet-Lite0 loses by
            it (docs/decisions/0050-dynamic-int8.md), so the export of a run does not.

    Returns:
        A network for inference only: its rounded convolutions have float32 kernels that int8 holds
        exactly, and all other layers compute the same as before. The network itself, if its layers
        form no chain or its feature maps are too large.
    """
    steps = _steps(network.whole)
    if steps is None or not (branches or _is_chain(steps)):
        return network
    if _maps_bytes(steps, len(images)) > _MEMORY_BYTES:
        return network
    in_float = layers_in_float(network.whole)
    folded = fold_batch_normalization(steps)
    rounded = _rounded(folded, images.astype(np.float32), in_float, progress)
    return network_of(rounded, network)


def network_of(steps: Sequence[Step], like: Network) -> Network:
    """Assemble steps into a network with the same feature map as another."""
    whole = assemble(steps)
    return Network(whole=whole, backbone=whole, head=whole, feature_map=like.feature_map)


def _steps(whole: keras.Model) -> list[Step] | None:
    try:
        return steps_of(whole)
    except TrainingError:
        return None


def _is_chain(steps: Sequence[Step]) -> bool:
    """Return whether each step takes the output of the one before it, and nothing else."""
    return all(step.inputs == (before.name,) for before, step in pairwise(steps))


def _rounded(
    steps: Sequence[Step], images: Values, in_float: Sequence[str], progress: Progress
) -> list[Step]:
    generator = np.random.default_rng(0)
    first, *rest = steps
    exact, rounded = {first.name: images}, {first.name: images}
    last_user = {name: step.name for step in steps for name in step.inputs}

    def take(maps: dict[str, Values], step: Step) -> list[Values]:
        """Return what a step takes, and forget what no later step needs."""
        return [
            maps.pop(name) if last_user[name] == step.name else maps[name] for name in step.inputs
        ]

    done = [first]
    with progress.track("Rounding to int8", total=len(rest), unit="layers") as shown:
        for step in rest:
            layer, name = step.layer, step.name
            if isinstance(layer, CONVOLUTIONS):
                kernel, bias = weights_of(layer)
                linear = with_weights(layer, kernel, bias, activation="linear")
                # A layer that stays in float32 is refitted too: it compensates the rounding of
                # the layers before it.
                to_grid = name not in in_float
                (source,) = step.inputs
                inputs = exact[source], rounded[source]
                kernel = _refit(linear, kernel, *inputs, generator, to_grid=to_grid)
                del inputs
                # Each map replaces the one it is computed from, so that few exist at once.
                exact[name] = _run(linear, take(exact, step))
                rounded[name] = _run(with_weights(linear, kernel, bias), take(rounded, step))
                correction = (exact[name] - rounded[name]).mean(axis=(0, 1, 2))
                layer = with_weights(layer, kernel, bias + correction)
                rounded[name] += correction
                for maps in (exact, rounded):
                    maps[name] = np.asarray(layer.activation(maps[name]))
            else:
                exact[name] = _run(layer, take(exact, step))
                rounded[name] = _run(layer, take(rounded, step))
                if isinstance(layer, keras.layers.ReLU):
                    _to_steps(rounded[name])
            done.append(Step(name, layer, step.inputs))
            shown.advance()
    return done


def _maps_bytes(steps: Sequence[Step], images: int) -> int:
    """Return how much the feature maps of some images take at most at a time, both kinds."""
    size = {step.name: int(np.prod(step.layer.output.shape[1:])) for step in steps}
    last_user = {name: step.name for step in steps for name in step.inputs}
    live: set[str] = set()
    peak = 0
    for step in steps:
        inputs, output = sum(size[name] for name in step.inputs), size[step.name]
        others = sum(size[name] for name in live - set(step.inputs))
        peak = max(peak, 2 * others + max(2 * inputs + output, inputs + 2 * output))
        live = {name for name in live if last_user[name] != step.name} | {step.name}
    return peak * images * np.dtype(np.float32).itemsize


def _run(layer: keras.Layer, inputs: Sequence[Values]) -> Values:
    shapes = [each.shape for each in inputs]
    alone = len(inputs) == 1
    result = np.empty(layer.compute_output_shape(shapes[0] if alone else shapes), np.float32)
    for start in range(0, len(result), _BATCH):
        parts = [each[start : start + _BATCH] for each in inputs]
        result[start : start + _BATCH] = layer(parts[0] if alone else parts, training=False)
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
