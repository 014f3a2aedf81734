"""A registry's entry as a network in two parts: what is frozen, and what learns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_contract.labels import CODES
from lentigo_trainer.architectures.registry import Architecture, Totals, Weights
from lentigo_trainer.architectures.scaling import scaled
from lentigo_trainer.architectures.weights import load_base
from lentigo_trainer.normalization import FusedBatchNormalization


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

    @property
    def learns_from_pictures(self) -> bool:
        """Whether nothing is frozen: the features would be the pictures themselves."""
        return not self.trunk.variables


def build(chosen: Architecture, weights: Weights, seed: int) -> Network:
    """Build a network with its first layers frozen.

    Args:
        chosen: the architecture.
        weights: where the base's values come from.
        seed: of the head's first values and of its dropout.

    Raises:
        WeightsUnavailableError: no weights and no network.
        WeightsError: weights of another network.
    """
    pictures = keras.Input((MODEL_SIDE, MODEL_SIDE, 3), name="image")
    base = load_base(chosen, scaled(pictures, chosen.scaling), weights, seed)
    plain = keras.Model(pictures, _chain(_head(chosen, seed), base.outputs[0]), name=chosen.name)
    features = plain.get_layer(chosen.boundary).input
    trunk = keras.Model(pictures, features, name=f"{chosen.name}_trunk")
    learning = keras.Model(features, plain.outputs[0], name=f"{chosen.name}_tail")
    for layer in trunk.layers:
        layer.trainable = False
    twin_of = _fusing(frozen={layer.name for layer in trunk.layers})
    return Network(
        whole=keras.models.clone_model(plain, clone_function=twin_of),
        trunk=trunk,
        tail=keras.models.clone_model(learning, clone_function=twin_of),
        feature_map=base.layers[-1].name,
    )


def totals(network: Network) -> Totals:
    """Count a network's parameters; BatchNormalization's statistics count as frozen."""
    total = int(network.whole.count_params())
    trainable = sum(int(variable.numpy().size) for variable in network.whole.trainable_variables)
    return Totals(total=total, trainable=trainable, frozen=total - trainable)


def _fusing(frozen: set[str]) -> Callable[[keras.Layer], keras.Layer]:
    """Share layers as they are, but for normalisations that learn: those get one faster twin."""
    twins: dict[str, keras.Layer] = {}

    def twin_of(layer: keras.Layer) -> keras.Layer:
        if type(layer) is not keras.layers.BatchNormalization or layer.name in frozen:
            return layer
        if layer.name not in twins:
            twin = FusedBatchNormalization.from_config(layer.get_config())
            twin.build(layer.input.shape)
            twin.set_weights(layer.get_weights())
            twins[layer.name] = twin
        return twins[layer.name]

    return twin_of


def _chain(layers: Sequence[keras.Layer], tensor: keras.KerasTensor) -> keras.KerasTensor:
    for layer in layers:
        tensor = layer(tensor)
    return tensor


def _head(chosen: Architecture, seed: int) -> list[keras.Layer]:
    layers: list[keras.Layer] = []
    if chosen.pooled:
        layers.append(keras.layers.GlobalAveragePooling2D(name="pool"))
    layers.append(keras.layers.Flatten(name="flatten"))
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
