"""The registry of architectures. Adding one is one more entry here, and nothing elsewhere.

It is plain data until `base` is called, so that commands can name and check architectures without
loading Keras. The choices that are not the paper's are explained in
docs/decisions/0010-one-registry-of-architectures.md.

The bases: networks without a top, from scaled images to their last feature map.

Keras is imported when a base is built, so that the registry can be read without it.
"""

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import keras

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from lentigo_trainer.errors import TrainingError

CNN_FILTERS: Final = (32, 64, 128, 256)
CNN_DROPOUT: Final = 0.25
"""The paper's CNN has dropout behind every pooling and gives no rate; MobileNet's head has this."""


class Base(Protocol):
    """Builds a base on a tensor of scaled images."""

    def __call__(
        self, images: "keras.KerasTensor", weights: str | None, seed: int
    ) -> "keras.Model":
        """Build.

        Args:
            images: [n, 224, 224, 3], scaled.
            weights: what Keras loads: a file or the word `imagenet`; None for random values.
            seed: of random values and of dropout, where the base is ours.

        Returns:
            A model from the tensor's own input to the last feature map.
        """
        ...


def application(name: str) -> Base:
    """Take a base of `keras.applications`, such as `VGG16`."""

    def build(images: "keras.KerasTensor", weights: str | None, seed: int) -> "keras.Model":  # noqa: ARG001 - Keras draws
        import keras  # noqa: PLC0415 - see the module

        return getattr(keras.applications, name)(
            include_top=False,
            input_tensor=images,
            input_shape=tuple(images.shape[1:]),
            weights=weights,
        )

    return build


def cnn(images: "keras.KerasTensor", weights: str | None, seed: int) -> "keras.Model":  # noqa: ARG001 - there are none
    """Build the paper's CNN: valid 3x3 convolutions, each with 2x2 max pooling and dropout.

    The paper's text says five convolutions; its summary and its total have these four.
    """
    import keras  # noqa: PLC0415 - see the module

    tensor = images
    for number, filters in enumerate(CNN_FILTERS, start=1):
        start = keras.initializers.GlorotUniform(seed=seed + number)
        for layer in (
            keras.layers.Conv2D(
                filters, 3, activation="relu", kernel_initializer=start, name=f"conv_{number}"
            ),
            keras.layers.MaxPooling2D(2, name=f"pool_{number}"),
            keras.layers.Dropout(CNN_DROPOUT, seed=seed, name=f"dropout_{number}"),
        ):
            tensor = layer(tensor)
    return keras.Model(keras.utils.get_source_inputs(images), tensor)


Scaling = Literal["-1 to 1", "caffe", "none"]
"""What a base expects of the pixels. `caffe`: blue, green, red, each less its mean over ImageNet.
`none`: the base scales them itself."""


@dataclass(frozen=True, slots=True)
class Totals:
    """How many parameters a network has."""

    total: int
    trainable: int
    frozen: int


@dataclass(frozen=True, slots=True)
class Architecture:
    """One way to build a network for the seven diagnoses.

    Attributes:
        name: as recipes and manifests call it.
        title: as readers of a report know it.
        base: builds the network without its top.
        scaling: what the base expects of the pixels.
        weights_file: Keras' own name of the file with the ImageNet weights; None where there are
            none and the network learns from nothing.
        boundary: the first layer that learns, of base or head; all in front of it is frozen.
        hidden: units of the dense layers between the last feature map and the output.
        dropout: share of the last hidden layer dropped while training.
        epochs: how many its recipe has.
        plain: whether its convolutions are plain ones rather than depthwise. LiteRT does not suit
            them, and bfloat16 does where the processor has it, so what takes longest is computed
            that way: the pass through the frozen layers, or every step where nothing is frozen.
            See docs/decisions/0018-plain-convolutions-in-bfloat16.md.
        pooled: whether the last feature map is averaged over its cells, or else flattened.
        published: the totals that the paper gives, if it gives any.
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
    published: Totals | None = None


def _entries(*entries: Architecture) -> dict[str, Architecture]:
    return {entry.name: entry for entry in entries}


ARCHITECTURES: Final[dict[str, Architecture]] = _entries(
    Architecture(
        name="cnn",
        title="CNN",
        base=cnn,
        scaling="-1 to 1",
        weights_file=None,
        boundary="rescaling",
        hidden=(),
        dropout=0.0,
        epochs=10,
        plain=True,
        pooled=False,
        published=Totals(total=646_471, trainable=646_471, frozen=0),
    ),
    Architecture(
        name="vgg16",
        title="VGG16",
        base=application("VGG16"),
        scaling="caffe",
        weights_file="vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        boundary="hidden_1",
        hidden=(128, 64, 32),
        dropout=0.0,
        epochs=10,
        plain=True,
        published=Totals(total=14_790_919, trainable=76_231, frozen=14_714_688),
    ),
    Architecture(
        name="resnet50",
        title="ResNet50",
        base=application("ResNet50"),
        scaling="caffe",
        weights_file="resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        boundary="hidden_1",
        hidden=(128, 64, 32),
        dropout=0.0,
        epochs=20,
        plain=True,
        published=Totals(total=23_860_551, trainable=272_839, frozen=23_587_712),
    ),
    Architecture(
        name="mobilenet",
        title="MobileNet",
        base=application("MobileNet"),
        scaling="-1 to 1",
        weights_file="mobilenet_1_0_224_tf_no_top.h5",
        boundary="conv_dw_11_bn",
        hidden=(1024,),
        dropout=0.25,
        epochs=20,
        published=Totals(total=4_285_639, trainable=2_914_823, frozen=1_370_816),
    ),
    Architecture(
        name="mobilenet_v2",
        title="MobileNetV2",
        base=application("MobileNetV2"),
        scaling="-1 to 1",
        weights_file="mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        boundary="block_13_expand",
        hidden=(1024,),
        dropout=0.25,
        epochs=20,
    ),
    Architecture(
        name="mobilenet_v3_small",
        title="MobileNetV3 small",
        base=application("MobileNetV3Small"),
        scaling="none",
        weights_file="weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
        boundary="expanded_conv_8_expand",
        hidden=(1024,),
        dropout=0.25,
        epochs=20,
    ),
    Architecture(
        name="mobilenet_v3_large",
        title="MobileNetV3 large",
        base=application("MobileNetV3Large"),
        scaling="none",
        weights_file="weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
        boundary="expanded_conv_12_expand",
        hidden=(1024,),
        dropout=0.25,
        epochs=20,
    ),
)


def architecture(name: str) -> Architecture:
    """Find an architecture by name.

    Raises:
        TrainingError: there is none of that name.
    """
    try:
        return ARCHITECTURES[name]
    except KeyError:
        known = ", ".join(ARCHITECTURES)
        raise TrainingError(f"There is no architecture {name!r}; there are: {known}.") from None


def with_all_layers_trainable(chosen: Architecture, dropout: float) -> Architecture:
    """Give an architecture without a frozen layer, and with a head of one dense layer.

    Args:
        chosen: one whose first layer scales the pixels.
        dropout: share of the pooled features dropped while training.
    """
    return replace(chosen, boundary="rescaling", hidden=(), dropout=dropout, published=None)


# `imagenet` lets Keras download, `random` is for smoke tests, a path names a folder of files.
Weights = Path | Literal["imagenet", "random"]
