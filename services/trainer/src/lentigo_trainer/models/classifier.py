"""A registry's entry as a network in two parts: what is frozen, and what learns.

Batch normalisation by TensorFlow's fused kernel: the same values and gradients, less time.

A network that gives what some of its layers see.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_contract.labels import CODES
from lentigo_trainer.models.backbone import load_base, scaled
from lentigo_trainer.models.registry import Architecture, Totals, Weights


@keras.saving.register_keras_serializable(package="lentigo")
class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc] # untyped
    """`BatchNormalization` over feature maps [n, h, w, c], trained with the fused kernel.

    Keras spells the training pass out in some fifteen element-wise operations. The fused kernel
    does it in two, which makes MobileNet's head a fifth faster on two cores
    (docs/decisions/0005-fused-batch-normalisation.md). Outside training, and while frozen, it is
    Keras' own layer.
    """

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Normalise feature maps.

        Args:
            inputs: float32 [n, h, w, c].
            training: whether to use the batch's own statistics and follow them.
            mask: not supported; as in Keras' own layer, None for feature maps.

        Returns:
            float32 [n, h, w, c].
        """
        if not (training and self.trainable):
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma.value, self.beta.value, epsilon=self.epsilon, is_training=True
        )
        self._follow(self.moving_mean, mean)
        self._follow(self.moving_variance, variance)
        return outputs

    def _follow(self, average: keras.Variable, value: tf.Tensor) -> None:
        average.assign(average * self.momentum + value * (1.0 - self.momentum))


@dataclass(frozen=True, slots=True)
class Network:
    """A network and its two parts, which share its layers.

    Attributes:
        whole: images [n, 224, 224, 3] in 0 to 255 -> logits [n, 7].
        backbone: the frozen part, images -> features.
        head: the learning part, features -> logits.
        feature_map: name of the layer whose output the activation map explains.
    """

    whole: keras.Model
    backbone: keras.Model
    head: keras.Model
    feature_map: str

    @property
    def learns_from_images(self) -> bool:
        """Whether nothing is frozen: the features would be the images themselves."""
        return not self.backbone.variables


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
    images = keras.Input((MODEL_SIDE, MODEL_SIDE, 3), name="image")
    base = load_base(chosen, scaled(images, chosen.scaling), weights, seed)
    plain = keras.Model(
        images, _chain(_classifier_layers(chosen, seed), base.outputs[0]), name=chosen.name
    )
    features = plain.get_layer(chosen.boundary).input
    backbone = keras.Model(images, features, name=f"{chosen.name}_backbone")
    learning = keras.Model(features, plain.outputs[0], name=f"{chosen.name}_head")
    for layer in backbone.layers:
        layer.trainable = False
    twin_of = _fusing(frozen={layer.name for layer in backbone.layers})
    return Network(
        whole=keras.models.clone_model(plain, clone_function=twin_of),
        backbone=backbone,
        head=keras.models.clone_model(learning, clone_function=twin_of),
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


def _classifier_layers(chosen: Architecture, seed: int) -> list[keras.Layer]:
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


def feature_extractor(whole: keras.Model, names: Sequence[str]) -> keras.Model:
    """Give a model with the same weights whose outputs are those of the layers named.

    Args:
        whole: a functional model.
        names: of its layers, at least one.

    Returns:
        A model with a list of outputs, or with one output for one name.
    """
    outputs: dict[str, keras.KerasTensor] = {}

    def remember(layer: keras.Layer, *args: object, **kwargs: object) -> keras.KerasTensor:
        outputs[layer.name] = layer(*args, **kwargs)
        return outputs[layer.name]

    # The layers have been called in several models; calling the very same ones once more is
    # Keras' public way to this model's own tensors.
    twin = keras.models.clone_model(
        whole, clone_function=lambda layer: layer, call_function=remember
    )
    tensors = [outputs[name] for name in names]
    return keras.Model(twin.inputs[0], tensors if len(tensors) > 1 else tensors[0])
