"""The registry of architectures: how each is built, and where its learning part begins."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import keras

from lentigo_contract.errors import TrainingError, WeightsError
from lentigo_contract.images import MODEL_SIDE
from lentigo_contract.labels import CODES
from lentigo_trainer.config import Weights
from lentigo_trainer.normalization import FusedBatchNormalization


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
        base: builds the network without its top from the weights Keras should load: a file, the
            word `imagenet`, or None for random values.
        weights_file: Keras' own name of the file with the ImageNet weights.
        boundary: the first layer of the base that learns; all in front of it is frozen.
        hidden: units of the dense layers between pooling and output.
        dropout: share of the last hidden layer dropped while training.
    """

    name: str
    base: Callable[[str | None], keras.Model]
    weights_file: str
    boundary: str
    hidden: tuple[int, ...]
    dropout: float


@dataclass(frozen=True, slots=True)
class Network:
    """A network and its two parts, which share its layers.

    Attributes:
        whole: pictures [n, 224, 224, 3] in 0 to 255 -> logits [n, 7].
        trunk: the frozen part, pictures -> features.
        tail: the learning part, features -> logits.
        feature_map: name of the layer whose output the activation map explains.
    """

    whole: keras.Model
    trunk: keras.Model
    tail: keras.Model
    feature_map: str


def _mobilenet(weights: str | None) -> keras.Model:
    return keras.applications.MobileNet(
        include_top=False, input_shape=(MODEL_SIDE, MODEL_SIDE, 3), weights=weights
    )


ARCHITECTURES: Final[dict[str, Architecture]] = {
    "mobilenet": Architecture(
        name="mobilenet",
        base=_mobilenet,
        weights_file="mobilenet_1_0_224_tf_no_top.h5",
        boundary="conv_dw_11_bn",
        hidden=(1024,),
        dropout=0.25,
    ),
}


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


def build(chosen: Architecture, weights: Weights, seed: int) -> Network:
    """Build a network with its first layers frozen.

    Args:
        chosen: the architecture.
        weights: where the base's values come from.
        seed: of the head's first values and of its dropout.

    Raises:
        WeightsError: no weights and no network, or weights of another network.
    """
    base = _load_base(chosen, weights)
    boundary = [layer.name for layer in base.layers].index(chosen.boundary)
    pictures = keras.Input((MODEL_SIDE, MODEL_SIDE, 3), name="image")
    features = _chain(base.layers[1:boundary], keras.layers.Rescaling(1 / 127.5, -1.0)(pictures))
    learning = [*map(_fused, base.layers[boundary:]), *_head(chosen, seed)]
    whole = keras.Model(pictures, _chain(learning, features), name=chosen.name)
    trunk = keras.Model(pictures, features, name=f"{chosen.name}_trunk")
    given = keras.Input(features.shape[1:], name="features")
    tail = keras.Model(given, _chain(learning, given), name=f"{chosen.name}_tail")
    for layer in trunk.layers:
        layer.trainable = False
    return Network(whole, trunk, tail, feature_map=base.layers[-1].name)


def totals(network: Network) -> Totals:
    """Count a network's parameters; BatchNormalization's statistics count as frozen."""
    total = int(network.whole.count_params())
    trainable = sum(int(variable.numpy().size) for variable in network.whole.trainable_variables)
    return Totals(total=total, trainable=trainable, frozen=total - trainable)


def _fused(layer: keras.Layer) -> keras.Layer:
    """Replace batch normalisation by its faster twin with the same values."""
    if type(layer) is not keras.layers.BatchNormalization:
        return layer
    twin = FusedBatchNormalization.from_config(layer.get_config())
    twin.build(layer.input.shape)
    twin.set_weights(layer.get_weights())
    return twin


def _chain(layers: Sequence[keras.Layer], tensor: keras.KerasTensor) -> keras.KerasTensor:
    for layer in layers:
        tensor = layer(tensor)
    return tensor


def _head(chosen: Architecture, seed: int) -> list[keras.Layer]:
    layers: list[keras.Layer] = [
        keras.layers.GlobalAveragePooling2D(name="pool"),
        keras.layers.Flatten(name="flatten"),
    ]
    for number, units in enumerate(chosen.hidden):
        start = keras.initializers.GlorotUniform(seed=seed + number)
        layers.append(
            keras.layers.Dense(
                units, activation="relu", kernel_initializer=start, name=f"hidden_{number + 1}"
            )
        )
    if chosen.dropout:
        layers.append(keras.layers.Dropout(chosen.dropout, seed=seed, name="dropout"))
    start = keras.initializers.GlorotUniform(seed=seed + len(chosen.hidden))
    layers.append(keras.layers.Dense(len(CODES), kernel_initializer=start, name="logits"))
    return layers


def _load_base(chosen: Architecture, weights: Weights) -> keras.Model:
    if weights == "random":
        return chosen.base(None)
    if weights == "imagenet":
        try:
            return chosen.base("imagenet")
        except Exception as error:
            # Keras raises a bare Exception when a download fails.
            raise WeightsError(
                f"The ImageNet weights of {chosen.name} could not be downloaded. Connect to the "
                f"network, or put {chosen.weights_file} in a folder and give it as --weights-dir."
            ) from error
    file = Path(weights) / chosen.weights_file
    if not file.is_file():
        raise WeightsError(
            f"{weights} has no {chosen.weights_file}. Put it there, or leave --weights-dir out to "
            "let Keras download it."
        )
    try:
        return chosen.base(str(file))
    except (ValueError, OSError, KeyError) as error:
        raise WeightsError(
            f"{file} does not hold the weights of {chosen.name} without its top: {error}"
        ) from error
