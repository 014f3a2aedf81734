"""Structured pruning: remove whole channels, which leaves a smaller network of the same kind.

Channels are ranked over all groups together by one of two scores:

- `scale`: the size of gamma of the last normalisation before the channel is used (Liu et al.,
  "Learning Efficient Convolutional Networks through Network Slimming", ICCV 2017). Their penalty on
  gamma during training is not part of it: the network was trained without.
- `taylor`: how much the loss would change without the channel, to first order: the squared sum of
  gamma and beta times their gradients, averaged over batches (Molchanov et al., "Importance
  Estimation for Neural Network Pruning", CVPR 2019, the variant for gates behind normalisations).
"""

from collections.abc import Sequence
from typing import Final, Literal

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_trainer.compression.channel_groups import ChannelGroup, Mask
from lentigo_trainer.models.graph import Step, assemble, copied, steps_of
from lentigo_trainer.training.loop import Examples

Score = Literal["scale", "taylor"]
Scores = list[npt.NDArray[np.float64]]

SCORED_IMAGES: Final = 512
_BATCH: Final = 32


def scale_scores(whole: keras.Model, groups: Sequence[ChannelGroup]) -> Scores:
    """Score each channel by the size of its gamma."""
    return [
        np.abs(np.asarray(whole.get_layer(group.depthwise_norm).gamma, np.float64))
        for group in groups
    ]


def taylor_scores(
    whole: keras.Model, groups: Sequence[ChannelGroup], examples: Examples, seed: int
) -> Scores:
    """Score each channel by what the loss would change without it, to first order.

    The network is run as at inference, so that its statistics do not change.

    Args:
        whole: images [n, 224, 224, 3] -> logits [n, 7].
        groups: whose channels to score.
        examples: training images.
        seed: of the draw of `SCORED_IMAGES` of them.
    """
    norms = [whole.get_layer(group.depthwise_norm) for group in groups]
    values = [variable for norm in norms for variable in (norm.gamma, norm.beta)]
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def contributions_of(images: tf.Tensor, labels: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = loss_of(labels, whole(images, training=False))
        slopes = tape.gradient(loss, values)
        return [
            tf.square(values[n] * slopes[n] + values[n + 1] * slopes[n + 1])
            for n in range(0, len(values), 2)
        ]

    contributions = tf.function(contributions_of)
    rows = np.random.default_rng(seed).permutation(len(examples.labels))[:SCORED_IMAGES]
    totals = [np.zeros(group.channels) for group in groups]
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        found = contributions(examples.features.take(batch), examples.labels[batch])
        totals = [total + each.numpy() for total, each in zip(totals, found, strict=True)]
    return totals


def prune_channels(
    whole: keras.Model, groups: Sequence[ChannelGroup], masks: Sequence[Mask]
) -> keras.Model:
    """Return a smaller network without the channels that do not stay.

    It computes what the whole network computes if the inputs of the consumers that belong to
    removed channels are 0.

    Args:
        whole: the network; it is not changed, and shares nothing with the result.
        groups: of that network.
        masks: which channels of each stay.
    """
    kept_outputs: dict[str, Mask] = {}
    kept_inputs: dict[str, Mask] = {}
    for group, mask in zip(groups, masks, strict=True):
        for name in (group.producer, group.producer_norm, group.depthwise, group.depthwise_norm):
            kept_outputs[name] = mask
        kept_inputs[group.consumer] = mask
    steps = steps_of(whole)
    twins = [
        Step(step.name, _resized(step.layer, kept_outputs.get(step.name)), step.inputs)
        for step in steps
    ]
    smaller = assemble(twins)
    for step in steps:
        weights = step.layer.get_weights()
        if weights:
            kept = kept_inputs.get(step.name), kept_outputs.get(step.name)
            smaller.get_layer(step.name).set_weights(_selected(step.layer, weights, *kept))
    return smaller


def mask_channels(
    whole: keras.Model, groups: Sequence[ChannelGroup], masks: Sequence[Mask]
) -> None:
    """Cut channels off in place: their consumers no longer take them in."""
    for group, mask in zip(groups, masks, strict=True):
        kernel = whole.get_layer(group.consumer).kernel
        kernel.assign(np.asarray(kernel) * mask[:, None])


def _resized(layer: keras.Layer, outputs: Mask | None) -> keras.Layer:
    if outputs is not None and type(layer) is keras.layers.Conv2D:
        return copied(layer, filters=int(outputs.sum()))
    return copied(layer)


def _selected(
    layer: keras.Layer,
    weights: Sequence[npt.NDArray[np.float32]],
    inputs: Mask | None,
    outputs: Mask | None,
) -> list[npt.NDArray[np.float32]]:
    """Return the part of a layer's weights that belongs to the channels that stay."""
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return [_along(each, outputs, 2 if each.ndim == 4 else 0) for each in weights]
    if isinstance(layer, keras.layers.Conv2D):
        # A pointwise convolution of MobileNet consumes one group and produces the next.
        kernel, *bias = weights
        kernel = _along(_along(kernel, inputs, 2), outputs, 3)
        return [kernel, *(_along(each, outputs, 0) for each in bias)]
    return [_along(each, outputs, 0) for each in weights]


def _along(
    values: npt.NDArray[np.float32], mask: Mask | None, axis: int
) -> npt.NDArray[np.float32]:
    return values if mask is None else np.compress(mask, values, axis=axis)
