import keras
import numpy as np
import pytest

from lentigo_trainer.compression.narrow import take_widest_channels
from lentigo_trainer.errors import WeightsError
from tests.trainer.compression.made_up import noise


def chain(width: int, seed: int = 0, last: int = 16) -> keras.Model:
    """A stem, a depthwise and a pointwise convolution, as MobileNet begins."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((224, 224, 3), name="image")
    tensor = image
    for layer in (
        keras.layers.Conv2D(width, 3, 8, "same", use_bias=False, name="conv1"),
        keras.layers.BatchNormalization(name="conv1_bn"),
        keras.layers.ReLU(6.0, name="conv1_relu"),
        keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="conv_dw_1"),
        keras.layers.BatchNormalization(name="conv_dw_1_bn"),
        keras.layers.Conv2D(last, 1, use_bias=False, name="conv_pw_1"),
        keras.layers.GlobalAveragePooling2D(name="pool"),
        keras.layers.Dense(7, name="logits"),
    ):
        tensor = layer(tensor)
    return keras.Model(image, tensor)


def test_the_channels_of_largest_norm_are_taken_through_the_chain() -> None:
    wide, narrow = chain(8, last=16), chain(4, seed=1, last=16)
    kernel = wide.get_layer("conv1").kernel.numpy().copy()
    kernel[..., ::2] *= 10
    wide.get_layer("conv1").kernel.assign(kernel)
    take_widest_channels(narrow, wide)
    np.testing.assert_array_equal(narrow.get_layer("conv1").kernel, kernel[..., ::2])
    for name, axis in (("conv_dw_1", 2), ("conv_pw_1", 2)):
        expected = np.take(wide.get_layer(name).kernel, [0, 2, 4, 6], axis=axis)
        np.testing.assert_array_equal(narrow.get_layer(name).kernel, expected)


def test_where_the_other_channels_are_zero_both_compute_the_same_features() -> None:
    wide, narrow = chain(8), chain(4, seed=1)
    kernel = wide.get_layer("conv1").kernel.numpy().copy()
    kernel[..., 4:] = 0
    wide.get_layer("conv1").kernel.assign(kernel)
    take_widest_channels(narrow, wide)
    images = noise(2).astype(np.float32)
    ours, theirs = [
        keras.Model(each.inputs[0], each.get_layer("pool").output)(images)
        for each in (wide, narrow)
    ]
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_the_head_keeps_its_own_start() -> None:
    narrow = chain(4, seed=1)
    before = narrow.get_layer("logits").kernel.numpy().copy()
    take_widest_channels(narrow, chain(8))
    np.testing.assert_array_equal(narrow.get_layer("logits").kernel, before)


def test_another_kind_of_network_is_refused() -> None:
    image = keras.Input((224, 224, 3))
    other = keras.Model(image, keras.layers.Conv2D(3, 1, name="other")(image))
    with pytest.raises(WeightsError, match="no layer like conv1"):
        take_widest_channels(chain(4), other)
