"""Narrower MobileNets that start from the wide one, where their own weights cannot be had.

Of each pointwise convolution of MobileNet 1.0 the channels of largest norm are taken (Li et al.,
"Pruning Filters for Efficient ConvNets", ICLR 2017, rank filters so), as many as the narrow network
has. The published narrow networks were trained on ImageNet from the start and are the better
beginning, so a report says which it was.
"""

import keras
import numpy as np
import numpy.typing as npt

from lentigo_trainer.errors import WeightsError
from lentigo_trainer.models.graph import Step, steps_of

Rows = npt.NDArray[np.intp]


def take_widest_channels(narrow: keras.Model, wide: keras.Model) -> None:
    """Give a narrow network the weights of a wide one's channels of largest norm, in place.

    Args:
        narrow: a chain of layers up to its head.
        wide: the same chain of layers, under the same names, with at least as many channels.

    Raises:
        WeightsError: they are not the same chain of layers.
    """
    wide_layers = {step.name: step.layer for step in steps_of(wide)}
    channels: Rows | None = None
    for step in steps_of(narrow):
        if isinstance(step.layer, keras.layers.GlobalAveragePooling2D):
            # What follows is the head, which learns from its own start.
            return
        weights = step.layer.get_weights()
        if not weights:
            continue
        theirs = wide_layers.get(step.name)
        if theirs is None or len(theirs.get_weights()) != len(weights):
            raise WeightsError(
                f"The wide network has no layer like {step.name}, so the narrow one cannot start "
                "from it. Take two networks that differ in width alone."
            )
        channels = _take(step, theirs, channels)


def _take(step: Step, theirs: keras.Layer, channels: Rows | None) -> Rows | None:
    """Set one layer; return which channels of the wide network its outputs are."""
    layer, values = step.layer, theirs.get_weights()
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        layer.set_weights([_picked(values[0], channels, 2)])
    elif isinstance(layer, keras.layers.Conv2D):
        kernel = _picked(values[0], channels, 2)
        norms = np.abs(values[0]).sum(axis=(0, 1, 2))
        channels = np.sort(np.argsort(-norms, kind="stable")[: layer.filters])
        layer.set_weights([_picked(kernel, channels, 3)])
    else:
        layer.set_weights([_picked(each, channels, 0) for each in values])
    return channels


def _picked(
    values: npt.NDArray[np.float32], channels: Rows | None, axis: int
) -> npt.NDArray[np.float32]:
    return values if channels is None else np.take(values, channels, axis=axis)
