"""What a base expects of the pixels, said as a layer of the network."""

from typing import Final

import keras

from lentigo_trainer.architectures.registry import Scaling

NAME: Final = "rescaling"

IMAGENET_MEANS: Final = (103.939, 116.779, 123.68)
"""Means of blue, green and red over ImageNet, as VGG16 and ResNet50 were trained (Simonyan and
Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015, section
2.1, give the method; the values are those of the weights' first publication in Caffe)."""


def scaled(pictures: keras.KerasTensor, scaling: Scaling) -> keras.KerasTensor:
    """Scale pictures [n, 224, 224, 3], RGB in 0 to 255, to what a base expects."""
    if scaling == "none":
        return pictures
    if scaling == "caffe":
        return CaffeScaling(name=NAME)(pictures)
    return keras.layers.Rescaling(1 / 127.5, -1.0, name=NAME)(pictures)


@keras.saving.register_keras_serializable(package="lentigo")
class CaffeScaling(keras.layers.Layer):  # type: ignore[misc] # untyped
    """Blue, green, red in place of red, green, blue, each less its mean over ImageNet.

    It is a layer of its own because a convolution that does the same would add parameters to the
    published totals.
    """

    def call(self, pictures: keras.KerasTensor) -> keras.KerasTensor:
        """Scale float32 [n, h, w, 3], RGB in 0 to 255; the result is about -124 to 151."""
        return pictures[..., ::-1] - IMAGENET_MEANS
