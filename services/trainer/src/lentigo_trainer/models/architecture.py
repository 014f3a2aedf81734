"""What an architecture is: how to build a network for the seven diagnoses, as plain data."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import keras

Scaling = Literal["-1 to 1", "efficientnet-lite", "torchvision", "caffe", "none"]
"""What a backbone expects of the pixels. `efficientnet-lite`: minus 127, over 128. `torchvision`:
minus ImageNet's mean, over its standard deviation. `caffe`: BGR, minus each channel's mean over
ImageNet. `none`: the backbone scales the pixels itself."""

# `imagenet` lets Keras download them; `random` is for smoke tests; a path is a folder of files.
Weights = Path | Literal["imagenet", "random"]


class Base(Protocol):
    """Builds a backbone on a tensor of scaled images."""

    def __call__(
        self, images: "keras.KerasTensor", weights: str | None, seed: int
    ) -> "keras.Model":
        """Build the layers.

        Args:
            images: [n, 224, 224, 3], scaled.
            weights: a file, or `imagenet` to let Keras download one; None for random weights.
            seed: of random weights and of dropout, where we build the layers ourselves.

        Returns:
            A model from the tensor's input to the last feature map.
        """
        ...


@dataclass(frozen=True, slots=True)
class Totals:
    """Numbers of parameters of a network."""

    total: int
    trainable: int
    frozen: int


@dataclass(frozen=True, slots=True)
class Architecture:
    """How to build one network for the seven diagnoses.

    Attributes:
        name: in recipes and manifests.
        title: in reports.
        base: builds the network without its top.
        scaling: what the network expects of the pixels.
        weights_file: Keras' name of the file with the ImageNet weights; None if there are none and
            training starts from random weights.
        boundary: the first layer that is trained; all layers before it are frozen.
        hidden: units of the dense layers between the last feature map and the output.
        dropout: share of the last hidden layer that is dropped in training.
        epochs: number of epochs of its recipe.
        plain: whether its convolutions are plain ones, not depthwise. They are slow on LiteRT, and
            fast in bfloat16 if the processor supports it. So TensorFlow computes the slowest part:
            the pass through the frozen layers, or every step if nothing is frozen.
            See docs/decisions/0018-plain-convolutions-in-bfloat16.md.
        pooled: whether the last feature map is averaged over its cells; otherwise it is flattened.
        totals: its numbers of parameters; those of the four networks of the paper are published
            there. None for a variant, which is counted when it is built.
    """

    name: str
    title: str
    base: Base
    scaling: Scaling
    weights_file: str | None
    boundary: str
    hidden: tuple[int, ...]
    dropout: float
    epochs: int
    plain: bool = False
    pooled: bool = True
    totals: Totals | None = None


def with_all_layers_trainable(chosen: Architecture, dropout: float) -> Architecture:
    """Return a copy of an architecture without frozen layers, and with one dense layer on top.

    Args:
        chosen: an architecture whose first layer scales the pixels.
        dropout: share of the pooled features that is dropped in training.
    """
    return replace(chosen, boundary="rescaling", hidden=(), dropout=dropout, totals=None)
