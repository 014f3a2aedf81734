"""Groups of channels that can be removed without changing anything but themselves.

A group is what lies between two pointwise convolutions that have a depthwise one between them:

    pointwise -> normalisation -> activation [-> padding] -> depthwise -> normalisation
              -> activation -> pointwise

In an inverted residual block these are the expanded channels (EfficientNet-Lite, MobileNetV2); in
MobileNet the output of each pointwise convolution but the last. Each channel of such a group is one
output of the first convolution, one kernel of the second and one input of the third. Nothing else
sees it, so residual sums, stem, top and head keep their shapes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import keras
import numpy as np
import numpy.typing as npt

from lentigo_trainer.errors import TrainingError
from lentigo_trainer.models.graph import Step, followers

Mask = npt.NDArray[np.bool_]
"""Which channels of a group stay, bool [channels]."""

STEP: Final = 8
"""XNNPACK, which runs the network in LiteRT, computes channels eight at a time or more, so the
channels of a group are kept in multiples of eight, and at least eight."""

_ACTIVATIONS: Final = (keras.layers.ReLU, keras.layers.Activation)


@dataclass(frozen=True, slots=True)
class ChannelGroup:
    """Channels that stand and fall together; each attribute but the last is a layer's name.

    Attributes:
        producer: pointwise convolution whose outputs they are.
        producer_norm: its normalisation.
        depthwise: convolution that has a kernel for each.
        depthwise_norm: its normalisation, the last before the consumer.
        consumer: pointwise convolution whose inputs they are.
        channels: how many.
    """

    producer: str
    producer_norm: str
    depthwise: str
    depthwise_norm: str
    consumer: str
    channels: int


def channel_groups(steps: Sequence[Step]) -> list[ChannelGroup]:
    """Find the groups of a network, in order.

    Args:
        steps: of a network with its weights.

    Raises:
        TrainingError: it has no such group.
    """
    after = followers(steps)
    groups = [group for step in steps if (group := _group_from(step, after)) is not None]
    if not groups:
        raise TrainingError(
            "The network has no channels that can be pruned: no pointwise convolution whose "
            "outputs go through one depthwise convolution into one pointwise convolution. Prune "
            "MobileNet, MobileNetV2 or EfficientNet-Lite."
        )
    return groups


def choose_channels(
    groups: Sequence[ChannelGroup], scores: Sequence[npt.NDArray[np.floating]], share: float
) -> list[Mask]:
    """Choose which channels stay: those with the highest scores over all groups together.

    Each group keeps a multiple of `STEP`, the nearest to what the common ranking leaves it, and at
    least `STEP`; a group that is smaller, or no multiple, may stay whole.

    Args:
        groups: at least one.
        scores: of each group's channels, [channels]; comparable between groups.
        share: of all channels that is to be removed, above 0 and below 1.

    Raises:
        TrainingError: an impossible share, or scores that are not finite.
    """
    if not 0 < share < 1:
        raise TrainingError(
            f"A share of {share:g} of the channels cannot be pruned. It must be above 0 and below "
            "1, such as 0.5."
        )
    every = np.concatenate([np.asarray(each, np.float64) for each in scores])
    if not np.isfinite(every).all():
        raise TrainingError(
            "The scores of the channels are not finite. Check that the network did not diverge."
        )
    removed = round(share * len(every))
    # A stable order, so that equal scores leave the same channels everywhere.
    gone = np.zeros(len(every), np.bool_)
    gone[np.argsort(every, kind="stable")[:removed]] = True
    ends = np.cumsum([group.channels for group in groups])
    masks = []
    for group, score, own in zip(groups, scores, np.split(gone, ends[:-1]), strict=True):
        count = _whole_steps(int(np.count_nonzero(~own)), group.channels)
        best = np.argsort(-np.asarray(score, np.float64), kind="stable")[:count]
        mask = np.zeros(group.channels, np.bool_)
        mask[best] = True
        masks.append(mask)
    return masks


def _whole_steps(wanted: int, channels: int) -> int:
    if channels <= STEP:
        return channels
    return min(max(STEP, STEP * round(wanted / STEP)), channels)


def _group_from(first: Step, after: dict[str, list[Step]]) -> ChannelGroup | None:
    """Return the group that begins at a pointwise convolution, if one does."""
    if not _is_pointwise(first.layer):
        return None
    path = [first]
    for kinds, optional in (
        ((keras.layers.BatchNormalization,), False),
        (_ACTIVATIONS, False),
        ((keras.layers.ZeroPadding2D,), True),
        ((keras.layers.DepthwiseConv2D,), False),
        ((keras.layers.BatchNormalization,), False),
        (_ACTIVATIONS, False),
        ((keras.layers.Conv2D,), False),
    ):
        following = after[path[-1].name]
        if len(following) != 1:
            return None
        (step,) = following
        if isinstance(step.layer, kinds):
            path.append(step)
        elif not optional:
            return None
    norms = [step for step in path if isinstance(step.layer, keras.layers.BatchNormalization)]
    (depthwise,) = [s for s in path if isinstance(s.layer, keras.layers.DepthwiseConv2D)]
    if depthwise.layer.depth_multiplier != 1 or not _is_pointwise(path[-1].layer):
        return None
    return ChannelGroup(
        producer=first.name,
        producer_norm=norms[0].name,
        depthwise=depthwise.name,
        depthwise_norm=norms[1].name,
        consumer=path[-1].name,
        channels=first.layer.filters,
    )


def _is_pointwise(layer: keras.Layer) -> bool:
    # A depthwise convolution is no subclass of Conv2D in Keras.
    return (
        isinstance(layer, keras.layers.Conv2D)
        and tuple(layer.kernel_size) == (1, 1)
        and layer.groups == 1
    )
