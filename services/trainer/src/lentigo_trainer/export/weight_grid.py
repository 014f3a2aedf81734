"""Round a network's kernels to a grid, so that a phone has to load half as much.

A float32 weight has 24 significant bits, and a decision needs far fewer. Each kernel gets one step,
a power of two, and its weights become whole numbers times that step. Float32 holds them exactly, so
every engine computes with the same weights, and whoever sends the file can pack them
(`lentigo_inference.api.packed_weights`). Batch normalisation is folded first: otherwise the
converter folds it, and the kernels leave the grid.

docs/decisions/0049-seven-megabytes.md has the measurements.
"""

from typing import Final

import keras
import numpy as np
import numpy.typing as npt

from lentigo_trainer.errors import TrainingError
from lentigo_trainer.export.folding import (
    CONVOLUTIONS,
    fold_batch_normalization,
    weights_of,
    with_weights,
)
from lentigo_trainer.export.quantization import network_of
from lentigo_trainer.models.classifier import Network
from lentigo_trainer.models.graph import Step, steps_of

Values = npt.NDArray[np.float32]

STEPS: Final = 96
"""In the root mean square of a large kernel. More makes the file larger, by one bit a weight each
time it doubles."""

LARGE: Final = 2**18
"""Weights of a kernel that has `STEPS`. Rounding to the same part of the root mean square disturbs
the logits about as much whatever a kernel's size, so smaller ones, which cost little, get finer
steps, in proportion to the root of their size: the reverse water-filling of rate-distortion theory
(Cover and Thomas, "Elements of Information Theory", section 10.3.3)."""


def round_to_grid(weights: npt.NDArray[np.floating]) -> Values:
    """Round to multiples of one step, a power of two.

    Args:
        weights: finite, of any shape; zeros, as below the diagonal of a triangular matrix, do not
            count as weights when the step is chosen.

    Returns:
        float32 of the same shape, without negative zeros.
    """
    values = weights.astype(np.float64)
    present = values[values != 0]
    if not present.size:
        return values.astype(np.float32)
    typical = np.sqrt(np.mean(present**2))
    finer = min(1.0, np.sqrt(present.size / LARGE))
    step = 2.0 ** np.round(np.log2(typical * finer / STEPS))
    # Adding a zero makes a negative zero positive.
    rounded: Values = (np.round(values / step) * step + 0.0).astype(np.float32)
    return rounded


def round_kernels(network: Network) -> Network:
    """Round the kernels of all convolutions and dense layers to their grids.

    Args:
        network: the trained network; it is not changed.

    Returns:
        A network for inference only, without the batch normalisation that could be folded. The
        network itself, if its layers cannot be rebuilt.
    """
    try:
        steps = steps_of(network.whole)
    except TrainingError:
        return network
    rounded = [
        Step(step.name, _rounded(step.layer), step.inputs)
        for step in fold_batch_normalization(steps)
    ]
    return network_of(rounded, network)


def _rounded(layer: keras.Layer) -> keras.Layer:
    if isinstance(layer, CONVOLUTIONS):
        kernel, bias = weights_of(layer)
        return with_weights(layer, round_to_grid(kernel).astype(np.float64), bias)
    if isinstance(layer, keras.layers.Dense):
        kernel, *bias = layer.get_weights()
        copy = type(layer).from_config(layer.get_config())
        copy.build((None, len(kernel)))
        copy.set_weights([round_to_grid(kernel), *bias])
        return copy
    return layer
