"""Quantisation-aware fine-tuning: a network that already computes as int8 will.

Batch normalisation is folded into the convolutions first, with its final statistics ("static
folding", Nagel et al., "A White Paper on Neural Network Quantization", 2021, section 5.2.2). Then
every convolution rounds its kernel to int8 with a scale for each output channel, and what flows
between layers is rounded to the 256 steps of a range that training images set. Gradients pass
through the rounding as if it were not there (straight-through estimator; Jacob et al.,
"Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR
2018, section 3).

What is exported carries the same ranges of activations, as FakeQuant operations that LiteRT's
converter takes over, and kernels that lie on the same grid, so the int8 file computes what was
trained. The pooling and the head stay in float32, as in decision 8.
"""

from collections.abc import Sequence
from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_trainer.errors import TrainingError
from lentigo_trainer.export.folding import CONVOLUTIONS, fold_batch_normalization
from lentigo_trainer.export.quantization import network_of
from lentigo_trainer.models.classifier import Network, feature_extractor
from lentigo_trainer.models.graph import Step, assemble, copied, followers, steps_of

LEVELS: Final = 127
"""int8 kernels are symmetric: -127 to 127 times the scale of their channel."""

_SUFFIX: Final = "_int8"
_BATCH: Final = 16
_LEAST_RANGE: Final = 1e-3


@keras.saving.register_keras_serializable(package="lentigo")
class Int8Conv2D(keras.layers.Conv2D):  # type: ignore[misc] # untyped
    """A convolution whose kernel is rounded to int8 whenever it is used."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Convolve float32 [n, h, w, c] with the rounded kernel."""
        outputs = self.convolution_op(inputs, rounded(self.kernel))
        return self.activation(outputs + self.bias)


@keras.saving.register_keras_serializable(package="lentigo")
class Int8DepthwiseConv2D(keras.layers.DepthwiseConv2D):  # type: ignore[misc] # untyped
    """A depthwise convolution whose kernel is rounded to int8 whenever it is used."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Convolve float32 [n, h, w, c] with the rounded kernel."""
        outputs = keras.ops.depthwise_conv(
            inputs,
            rounded_depthwise(self.kernel),
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )
        return self.activation(outputs + self.bias)


@keras.saving.register_keras_serializable(package="lentigo")
class FakeQuantization(keras.layers.Layer):  # type: ignore[misc] # untyped
    """Rounds activations to the 256 steps of a range; gradients pass inside the range.

    Args:
        low: lower end of the range, at most 0.
        high: upper end, at least 0.
        **options: of every Keras layer.
    """

    def __init__(self, low: float = 0.0, high: float = 6.0, **options: Any) -> None:  # noqa: ANN401 - Keras'
        super().__init__(**options)
        self.low, self.high = low, high

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Round float32 of any shape; values outside the range are clipped."""
        return tf.quantization.fake_quant_with_min_max_args(
            inputs, min=self.low, max=self.high, num_bits=8
        )

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the same shape."""
        return shape

    def get_config(self) -> dict[str, Any]:
        """Return what makes the same layer again."""
        return {**super().get_config(), "low": self.low, "high": self.high}


def rounded(kernel: tf.Tensor) -> tf.Tensor:
    """Round a kernel [..., out] to int8 by output channel; gradients pass straight through."""
    largest = tf.reduce_max(tf.abs(kernel), axis=tuple(range(len(kernel.shape) - 1)))
    # The operation refuses a range without a width.
    limit = tf.stop_gradient(tf.maximum(largest, np.finfo(np.float32).eps))
    return tf.quantization.fake_quant_with_min_max_vars_per_channel(
        tf.convert_to_tensor(kernel), -limit, limit, num_bits=8, narrow_range=True
    )


def rounded_depthwise(kernel: tf.Tensor) -> tf.Tensor:
    """Round a depthwise kernel [h, w, channels, 1] to int8 by channel; see `rounded`."""
    return tf.expand_dims(rounded(tf.squeeze(tf.convert_to_tensor(kernel), -1)), -1)


def quantization_aware(network: Network, images: npt.NDArray[np.uint8]) -> Network:
    """Return a copy of a trained network that computes as int8 will.

    Args:
        network: trained; it is not changed.
        images: uint8 [n, 224, 224, 3], training images that set the ranges of activations.

    Raises:
        TrainingError: it cannot be rebuilt, or has no convolution.
    """
    steps = fold_batch_normalization(steps_of(network.whole))
    if not any(isinstance(step.layer, CONVOLUTIONS) for step in steps):
        raise TrainingError(
            "The network has no convolution, so there is nothing to compute in int8."
        )
    limits = _limits(steps, _rounded_outputs(steps), images)
    twins: list[Step] = []
    renamed: dict[str, str] = {}
    for step in steps:
        inputs = tuple(renamed.get(name, name) for name in step.inputs)
        twins.append(Step(step.name, _twin(step.layer), inputs))
        if step.name in limits:
            low, high = limits[step.name]
            name = f"{step.name}{_SUFFIX}"
            twins.append(Step(name, FakeQuantization(low, high, name=name), (step.name,)))
            renamed[step.name] = name
    whole = assemble(twins)
    _copy_weights(steps, whole)
    feature_map = renamed.get(network.feature_map, network.feature_map)
    return Network(whole=whole, backbone=whole, head=whole, feature_map=feature_map)


def on_grid(network: Network) -> Network:
    """Return a quantisation-aware network with plain convolutions whose kernels int8 holds.

    Its SavedModel carries the ranges of activations, so `trained_int8_model` converts it.

    Args:
        network: from `quantization_aware`, fine-tuned; it is not changed.
    """
    plain: list[Step] = []
    for step in steps_of(network.whole):
        layer = step.layer
        if isinstance(layer, Int8Conv2D | Int8DepthwiseConv2D):
            depthwise = isinstance(layer, Int8DepthwiseConv2D)
            kind = keras.layers.DepthwiseConv2D if depthwise else keras.layers.Conv2D
            kernel, bias = layer.get_weights()
            layer = kind.from_config(layer.get_config())
            layer.build((None, None, None, kernel.shape[2]))
            grid = (rounded_depthwise if depthwise else rounded)(kernel)
            layer.set_weights([np.asarray(grid), bias])
        plain.append(Step(step.name, layer, step.inputs))
    return network_of(plain, network)


def _rounded_outputs(steps: Sequence[Step]) -> list[str]:
    """Return the steps whose outputs int8 layers pass on to each other.

    A convolution that an activation follows is computed as one with it.
    """
    after = followers(steps)
    passing = (keras.layers.Rescaling, keras.layers.ReLU, keras.layers.Add)

    def is_last_of_its_kind(step: Step) -> bool:
        activated = any(isinstance(each.layer, keras.layers.ReLU) for each in after[step.name])
        return isinstance(step.layer, CONVOLUTIONS) and not activated

    return [
        step.name for step in steps if isinstance(step.layer, passing) or is_last_of_its_kind(step)
    ]


def _limits(
    steps: Sequence[Step], names: Sequence[str], images: npt.NDArray[np.uint8]
) -> dict[str, tuple[float, float]]:
    """Return the range of each output over some images; it holds 0, which int8 must hold."""
    watched = feature_extractor(assemble(steps), names)

    def ends_of(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        values = watched(tf.cast(batch, tf.float32), training=False)
        values = values if len(names) > 1 else [values]
        return (
            tf.stack([tf.reduce_min(each) for each in values]),
            tf.stack([tf.reduce_max(each) for each in values]),
        )

    ends = tf.function(ends_of)
    found = [ends(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]
    lows = np.minimum(np.min([low for low, _ in found], axis=0), 0)
    highs = np.maximum(np.max([high for _, high in found], axis=0), _LEAST_RANGE)
    return {
        name: (float(low), float(high)) for name, low, high in zip(names, lows, highs, strict=True)
    }


def _twin(layer: keras.Layer) -> keras.Layer:
    kinds: dict[type, Any] = {
        keras.layers.Conv2D: Int8Conv2D,
        keras.layers.DepthwiseConv2D: Int8DepthwiseConv2D,
    }
    kind = kinds.get(type(layer))
    if kind is None:
        return copied(layer)
    return kind.from_config({**layer.get_config(), "use_bias": True})


def _copy_weights(steps: Sequence[Step], whole: keras.Model) -> None:
    for step in steps:
        weights = step.layer.get_weights()
        if len(weights) == 1 and isinstance(step.layer, CONVOLUTIONS):
            depthwise = isinstance(step.layer, keras.layers.DepthwiseConv2D)
            weights.append(np.zeros(weights[0].shape[2 if depthwise else 3], np.float32))
        if weights:
            whole.get_layer(step.name).set_weights(weights)
