"""The registry of architectures; to add one, add an entry to `ARCHITECTURES`.

The registry is plain data, and Keras is only imported when a backbone is built, so commands can
list and check architectures without loading Keras. Choices that the paper does not make are
explained in docs/decisions/0010-one-registry-of-architectures.md.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from lentigo_trainer.errors import TrainingError, WeightsUnavailableError
from lentigo_trainer.models.architecture import Architecture, Base, Scaling, Totals
from lentigo_trainer.models.inverted_residuals import InvertedResiduals, installed
from lentigo_trainer.models.published_backbones import (
    EFFICIENTNET_LITE0,
    EFFICIENTNET_LITE2,
    TORCHVISION_MOBILENET_V2,
)

if TYPE_CHECKING:
    import keras

CNN_FILTERS: Final = (32, 64, 128, 256)

CNN_DROPOUT: Final = 0.25
"""The paper's CNN has dropout after every pooling layer, at a rate that it does not give; we use
the rate of MobileNet's head."""


def application(name: str, **options: float) -> Base:
    """Return the builder of a network of `keras.applications` without its top, such as `VGG16`.

    Args:
        name: of the network.
        **options: of its builder, such as MobileNet's width multiplier `alpha`.
    """

    def build(images: "keras.KerasTensor", weights: str | None, seed: int) -> "keras.Model":  # noqa: ARG001 - Keras draws
        import keras  # noqa: PLC0415 - see the module

        return getattr(keras.applications, name)(
            include_top=False,
            input_tensor=images,
            input_shape=tuple(images.shape[1:]),
            weights=weights,
            **options,
        )

    return build


def cnn(images: "keras.KerasTensor", weights: str | None, seed: int) -> "keras.Model":  # noqa: ARG001 - there are none
    """Build the paper's CNN: valid 3x3 convolutions, each with 2x2 max pooling and dropout.

    The paper's text says five convolutions; its summary and its parameter count have these four.
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


def _inverted_residuals(
    name: str,
    title: str,
    base: InvertedResiduals,
    scaling: Scaling,
    boundary: str,
    totals: Totals,
) -> Architecture:
    return Architecture(
        name=name,
        title=title,
        base=base,
        scaling=scaling,
        weights_file=base.published.file,
        boundary=boundary,
        hidden=(1024,),
        dropout=0.25,
        epochs=20,
        totals=totals,
    )


def _narrow_mobilenet(
    name: str, title: str, width: float, in_file: str, totals: Totals
) -> Architecture:
    """MobileNet with a share of its channels in every layer (Howard et al., 2017, section 3.3)."""
    return Architecture(
        name=name,
        title=title,
        base=application("MobileNet", alpha=width),
        scaling="-1 to 1",
        weights_file=f"mobilenet_{in_file}_224_tf_no_top.h5",
        boundary="conv_dw_11_bn",
        hidden=(1024,),
        dropout=0.25,
        epochs=20,
        totals=totals,
    )


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
        totals=Totals(total=646_471, trainable=646_471, frozen=0),
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
        totals=Totals(total=14_790_919, trainable=76_231, frozen=14_714_688),
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
        totals=Totals(total=23_860_551, trainable=272_839, frozen=23_587_712),
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
        totals=Totals(total=4_285_639, trainable=2_914_823, frozen=1_370_816),
    ),
    _narrow_mobilenet(
        "mobilenet_075",
        "MobileNet 0.75",
        0.75,
        "7_5",
        Totals(total=2_627_607, trainable=1_844_103, frozen=783_504),
    ),
    _narrow_mobilenet(
        "mobilenet_050",
        "MobileNet 0.5",
        0.5,
        "5_0",
        Totals(total=1_362_023, trainable=1_002_759, frozen=359_264),
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
        totals=Totals(total=3_576_903, trainable=3_000_263, frozen=576_640),
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
        totals=Totals(total=1_537_143, trainable=1_334_511, frozen=202_632),
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
        totals=Totals(total=3_987_591, trainable=3_170_703, frozen=816_888),
    ),
    _inverted_residuals(
        "efficientnet_lite0",
        "EfficientNet-Lite0",
        EFFICIENTNET_LITE0,
        "efficientnet-lite",
        boundary="block_11_expand",
        totals=Totals(total=4_731_943, trainable=3_989_159, frozen=742_784),
    ),
    _inverted_residuals(
        "efficientnet_lite2",
        "EfficientNet-Lite2",
        EFFICIENTNET_LITE2,
        "efficientnet-lite",
        boundary="block_16_expand",
        totals=Totals(total=6_188_087, trainable=4_710_951, frozen=1_477_136),
    ),
    _inverted_residuals(
        "mobilenet_v2_torchvision",
        "MobileNetV2 (torchvision)",
        TORCHVISION_MOBILENET_V2,
        "torchvision",
        boundary="block_13_expand",
        totals=Totals(total=3_576_903, trainable=3_000_263, frozen=576_640),
    ),
)


def architecture(name: str) -> Architecture:
    """Return an architecture by name.

    Raises:
        TrainingError: there is no architecture of that name.
    """
    try:
        return ARCHITECTURES[name]
    except KeyError:
        known = ", ".join(ARCHITECTURES)
        raise TrainingError(f"There is no architecture {name!r}; there are: {known}.") from None


def find_weights(folder: Path, chosen: Architecture) -> Path | None:
    """Find the file of an architecture's weights: in a folder, or else in an installed package.

    Args:
        folder: of `--weights-dir`.
        chosen: the architecture.

    Returns:
        The file; None if it is in neither place, or the architecture has none.
    """
    if chosen.weights_file is None:
        return None
    file = folder / chosen.weights_file
    if file.is_file():
        return file
    if not isinstance(chosen.base, InvertedResiduals):
        return None
    try:
        return installed(chosen.base.published)
    except WeightsUnavailableError:
        return None
