"""Networks for tests: MobileNets with random values that let a signal through."""

import keras
import numpy as np

from lentigo_contract.labels import CODES
from lentigo_trainer.models.classifier import Network, build
from lentigo_trainer.models.registry import architecture
from lentigo_trainer.models.whole_batch import WholeBatchDropout


def lively_mobilenet(seed: int) -> Network:
    """Build MobileNet with He-normal kernels; with Keras' own start values its features vanish."""
    network = build(architecture("mobilenet"), weights="random", seed=seed)
    draw = np.random.default_rng(seed)
    for variable in network.whole.variables:
        if "kernel" in variable.path:
            # A depthwise kernel [3, 3, c, 1] sees 9 inputs, any other all but its last axis.
            seen = 9 if variable.shape[-1] == 1 else np.prod(variable.shape[:-1])
            variable.assign(draw.normal(size=variable.shape) * np.sqrt(2 / seen))
    return network


def small_inverted_residuals(seed: int, channels: int = 32, side: int = 224) -> Network:
    """Build a network of two inverted residual blocks, the second with a residual sum.

    Batch normalisation has trained statistics; the blocks expand 8 channels to `channels`.
    """
    keras.utils.set_random_seed(seed)
    image = keras.Input((side, side, 3), name="image")
    scaled = keras.layers.Rescaling(1 / 127.5, -1.0, name="rescaling")(image)
    tensor = inverted_residual_features(scaled, channels)
    tensor = keras.layers.GlobalAveragePooling2D(name="pool")(tensor)
    tensor = keras.layers.Flatten(name="flatten")(tensor)
    tensor = WholeBatchDropout(0.2, seed=seed, name="dropout")(tensor)
    whole = keras.Model(image, keras.layers.Dense(len(CODES), name="logits")(tensor))
    _train_statistics(whole, seed)
    return Network(whole=whole, backbone=whole, head=whole, feature_map="top_relu")


def inverted_residual_features(tensor: keras.KerasTensor, channels: int) -> keras.KerasTensor:
    """Add the layers of `small_inverted_residuals` up to its last feature map."""

    def convolution(
        tensor: keras.KerasTensor, layer: keras.Layer, *, active: bool = True
    ) -> keras.KerasTensor:
        tensor = keras.layers.BatchNormalization(name=f"{layer.name}_bn")(layer(tensor))
        return keras.layers.ReLU(6.0, name=f"{layer.name}_relu")(tensor) if active else tensor

    def pointwise(name: str, filters: int) -> keras.Layer:
        return keras.layers.Conv2D(filters, 1, use_bias=False, name=name)

    tensor = convolution(tensor, keras.layers.Conv2D(8, 3, 8, "same", use_bias=False, name="stem"))
    for number, stride in enumerate((2, 1)):
        name, before = f"block_{number}", tensor
        tensor = convolution(tensor, pointwise(f"{name}_expand", channels))
        depthwise = keras.layers.DepthwiseConv2D(
            3, stride, "same", use_bias=False, name=f"{name}_depthwise"
        )
        tensor = convolution(tensor, depthwise)
        tensor = convolution(tensor, pointwise(f"{name}_project", 8), active=False)
        if stride == 1:
            tensor = keras.layers.Add(name=f"{name}_add")([before, tensor])
    return convolution(tensor, pointwise("top", 16))


def small_mobilenet(seed: int, width: int = 12) -> Network:
    """Build every kind of MobileNet's layers, and normalisation with trained statistics.

    The last convolution, "wide", is 1x1 from 8 to `width` channels.
    """
    keras.utils.set_random_seed(seed)
    image = keras.Input((224, 224, 3), name="image")
    tensor = keras.layers.Rescaling(1 / 127.5, -1.0)(image)
    for layer in (
        keras.layers.Conv2D(8, 3, strides=8, padding="same", use_bias=False, name="stem"),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(6.0),
        keras.layers.ZeroPadding2D(((0, 1), (0, 1))),
        keras.layers.DepthwiseConv2D(3, strides=2, use_bias=False, name="deep"),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(6.0),
        keras.layers.Conv2D(width, 1, use_bias=False, name="wide"),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(6.0, name="last"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(len(CODES)),
    ):
        tensor = layer(tensor)
    whole = keras.Model(image, tensor)
    _train_statistics(whole, seed)
    return Network(whole=whole, backbone=whole, head=whole, feature_map="last")


def _train_statistics(whole: keras.Model, seed: int) -> None:
    """Give batch normalisation statistics as after a training."""
    generator = np.random.default_rng(seed)
    for variable in whole.variables:
        if "moving_variance" in variable.path or "gamma" in variable.path:
            variable.assign(generator.uniform(0.3, 2, variable.shape))
        elif "moving_mean" in variable.path or "beta" in variable.path:
            variable.assign(generator.normal(0, 0.5, variable.shape))
