"""Networks built from the registry, in two parts: a frozen backbone, and a head that is trained.

The backbone ends at the architecture's freeze boundary; the head is everything after it, so it can
include convolutions of the original network. Batch normalisation in the head uses TensorFlow's
fused kernel, which computes the same values and gradients in less time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_contract.labels import CODES
from lentigo_trainer.models.architecture import Architecture, Totals, Weights
from lentigo_trainer.models.backbone import load_base, scale
from lentigo_trainer.models.whole_batch import (
    WholeBatchDropout,
    is_part,
    moments_of_whole_batch,
)


@dataclass(frozen=True, slots=True)
class Network:
    """A network and its two parts, which share its layers and weights.

    Attributes:
        whole: both parts, images [n, 224, 224, 3] in 0 to 255 -> logits [n, 7].
        backbone: the frozen part, images -> features.
        head: the trained part, features -> logits.
        feature_map: name of the layer that class activation maps are computed from.
    """

    whole: keras.Model
    backbone: keras.Model
    head: keras.Model
    feature_map: str

    @property
    def learns_from_images(self) -> bool:
        """Whether no layer is frozen, so that the features are the images themselves."""
        return not self.backbone.variables


def build(chosen: Architecture, weights: Weights, seed: int) -> Network:
    """Build a network whose layers before the freeze boundary are frozen.

    Args:
        chosen: the architecture.
        weights: where the pretrained weights come from.
        seed: of random initial weights and of dropout.

    Raises:
        WeightsUnavailableError: the weight file is missing, or cannot be downloaded.
        WeightsError: the file holds the weights of another network.
    """
    images = keras.Input((MODEL_SIDE, MODEL_SIDE, 3), name="image")
    base = load_base(chosen, scale(images, chosen.scaling), weights, seed)
    network = keras.Model(
        images, _chain(_classifier_layers(chosen, seed), base.outputs[0]), name=chosen.name
    )
    features = network.get_layer(chosen.boundary).input
    backbone = keras.Model(images, features, name=f"{chosen.name}_backbone")
    head = keras.Model(features, network.outputs[0], name=f"{chosen.name}_head")
    for layer in backbone.layers:
        layer.trainable = False
    twin_of = _fusing(frozen={layer.name for layer in backbone.layers})
    return Network(
        whole=keras.models.clone_model(network, clone_function=twin_of),
        backbone=backbone,
        head=keras.models.clone_model(head, clone_function=twin_of),
        feature_map=base.layers[-1].name,
    )


def totals(network: Network) -> Totals:
    """Count a network's parameters; the statistics of batch normalisation count as frozen."""
    total = int(network.whole.count_params())
    trainable = sum(int(variable.numpy().size) for variable in network.whole.trainable_variables)
    return Totals(total=total, trainable=trainable, frozen=total - trainable)


def feature_extractor(whole: keras.Model, names: Sequence[str]) -> keras.Model:
    """Return a model with the same weights whose outputs are those of some layers.

    Args:
        whole: a functional model.
        names: names of its layers, at least one.

    Returns:
        A model with a list of outputs, or with a single output for a single name.
    """
    outputs: dict[str, keras.KerasTensor] = {}

    def remember(layer: keras.Layer, *args: object, **kwargs: object) -> keras.KerasTensor:
        outputs[layer.name] = layer(*args, **kwargs)
        return outputs[layer.name]

    # The layers are part of several models. Calling them once more is the way in Keras' public API
    # to get at this model's own tensors.
    twin = keras.models.clone_model(
        whole, clone_function=lambda layer: layer, call_function=remember
    )
    tensors = [outputs[name] for name in names]
    return keras.Model(twin.inputs[0], tensors if len(tensors) > 1 else tensors[0])


@keras.saving.register_keras_serializable(package="lentigo")
class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc] # untyped
    """`BatchNormalization` over feature maps [n, h, w, c], trained with the fused kernel.

    Keras computes the training pass with about fifteen element-wise operations. The fused kernel
    needs two, which makes MobileNet's head a fifth faster on two cores
    (docs/decisions/0005-fused-batch-normalisation.md). Where several workers share a batch, its
    statistics are those of all of it. When it does not train, or is frozen, it
    behaves as Keras' own layer.
    """

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Normalise feature maps.

        Args:
            inputs: float32 [n, h, w, c].
            training: whether to use the batch's own statistics and update the moving averages.
            mask: not supported; None for feature maps, as in Keras' own layer.

        Returns:
            float32 [n, h, w, c].
        """
        if not (training and self.trainable):
            return super().call(inputs, training=training, mask=mask)
        if is_part():
            return self._normalised_by_whole_batch(inputs)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma.value, self.beta.value, epsilon=self.epsilon, is_training=True
        )
        self._update(self.moving_mean, mean)
        self._update(self.moving_variance, variance)
        return outputs

    def _normalised_by_whole_batch(self, inputs: tf.Tensor) -> tf.Tensor:
        mean, variance, count = moments_of_whole_batch(inputs, self.moving_mean.value)
        self._update(self.moving_mean, tf.stop_gradient(mean))
        # The fused kernel returns the unbiased variance for the moving average.
        unbiased = variance * count / tf.maximum(count - 1.0, 1.0)
        self._update(self.moving_variance, tf.stop_gradient(unbiased))
        return tf.nn.batch_normalization(
            inputs, mean, variance, self.beta.value, self.gamma.value, self.epsilon
        )

    def _update(self, average: keras.Variable, value: tf.Tensor) -> None:
        average.assign(average * self.momentum + value * (1.0 - self.momentum))


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
        layers.append(WholeBatchDropout(chosen.dropout, seed=seed, name="dropout"))
    start = keras.initializers.GlorotUniform(seed=seed + len(chosen.hidden))
    layers.append(keras.layers.Dense(len(CODES), kernel_initializer=start, name="logits"))
    return layers


def _chain(layers: Sequence[keras.Layer], tensor: keras.KerasTensor) -> keras.KerasTensor:
    for layer in layers:
        tensor = layer(tensor)
    return tensor


def _fusing(frozen: set[str]) -> Callable[[keras.Layer], keras.Layer]:
    """Return a clone function that shares all layers except batch normalisations that train."""
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
