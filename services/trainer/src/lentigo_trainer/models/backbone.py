"""A base with the values it was asked for, or an error that says what to do.

What a base expects of the pixels, said as a layer of the network.
"""

from pathlib import Path
from typing import Final

import keras

from lentigo_trainer.errors import WeightsError, WeightsUnavailableError
from lentigo_trainer.models.registry import Architecture, Scaling, Weights


def load_base(
    chosen: Architecture, images: keras.KerasTensor, weights: Weights, seed: int
) -> keras.Model:
    """Build an architecture's base on scaled images.

    Args:
        chosen: the architecture; one without a weight file is drawn at random.
        images: [n, 224, 224, 3], scaled.
        weights: where its values come from.
        seed: of what is drawn.

    Raises:
        WeightsUnavailableError: no such file, or no network to download it.
        WeightsError: a file that holds no weights, or those of another network or shape.
    """
    if weights == "random" or chosen.weights_file is None:
        return chosen.base(images, None, seed)
    if weights == "imagenet":
        try:
            return chosen.base(images, "imagenet", seed)
        except Exception as error:
            # Keras raises a bare Exception when a download fails.
            raise WeightsUnavailableError(
                f"The ImageNet weights of {chosen.name} could not be downloaded. Connect to the "
                f"network, or put {chosen.weights_file} in a folder and give it as --weights-dir."
            ) from error
    file = Path(weights) / chosen.weights_file
    if not file.is_file():
        raise WeightsUnavailableError(
            f"{weights} has no {chosen.weights_file}. Put it there, or leave --weights-dir out to "
            "let Keras download it."
        )
    try:
        return chosen.base(images, str(file), seed)
    except (ValueError, OSError, KeyError) as error:
        raise WeightsError(
            f"{file} does not hold the weights of {chosen.name} without its top: {error}"
        ) from error


NAME: Final = "rescaling"

IMAGENET_MEANS: Final = (103.939, 116.779, 123.68)
"""Means of blue, green and red over ImageNet, as VGG16 and ResNet50 were trained (Simonyan and
Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015, section
2.1, give the method; the values are those of the weights' first publication in Caffe)."""


def scaled(images: keras.KerasTensor, scaling: Scaling) -> keras.KerasTensor:
    """Scale images [n, 224, 224, 3], RGB in 0 to 255, to what a base expects."""
    if scaling == "none":
        return images
    if scaling == "caffe":
        return CaffeScaling(name=NAME)(images)
    return keras.layers.Rescaling(1 / 127.5, -1.0, name=NAME)(images)


@keras.saving.register_keras_serializable(package="lentigo")
class CaffeScaling(keras.layers.Layer):  # type: ignore[misc] # untyped
    """Blue, green, red in place of red, green, blue, each less its mean over ImageNet.

    It is a layer of its own because a convolution that does the same would add parameters to the
    published totals.
    """

    def call(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Scale float32 [n, h, w, 3], RGB in 0 to 255; the result is about -124 to 151."""
        return images[..., ::-1] - IMAGENET_MEANS
