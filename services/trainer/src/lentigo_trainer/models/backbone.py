"""The backbone of an architecture: scaling of the pixels, and layers with pretrained weights."""

from pathlib import Path
from typing import Final

import keras
import numpy as np

from lentigo_trainer.errors import TrainingError, WeightsError, WeightsUnavailableError
from lentigo_trainer.models.architecture import Architecture, Scaling, Weights
from lentigo_trainer.models.registry import find_weights

NAME: Final = "rescaling"

IMAGENET_MEANS: Final = (103.939, 116.779, 123.68)
"""Means of blue, green and red over ImageNet, which VGG16 and ResNet50 were trained with. The
method is in Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition", ICLR 2015, section 2.1; the values are those that the weights were published with in
Caffe."""

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION: Final = (0.229, 0.224, 0.225)
"""Of red, green and blue over ImageNet, in 0 to 1, as torchvision's weights expect them
(https://docs.pytorch.org/vision/stable/models.html)."""


def load_base(
    chosen: Architecture, images: keras.KerasTensor, weights: Weights, seed: int
) -> keras.Model:
    """Build an architecture's backbone on scaled images.

    Args:
        chosen: the architecture; without a weight file, its weights are random.
        images: [n, 224, 224, 3], scaled.
        weights: where the weights come from.
        seed: of random weights.

    Raises:
        WeightsUnavailableError: the file is missing, or cannot be downloaded.
        WeightsError: the file holds no weights, or those of another network or shape.
    """
    if weights == "random" or chosen.weights_file is None:
        return chosen.base(images, None, seed)
    if weights == "imagenet":
        try:
            return chosen.base(images, "imagenet", seed)
        except TrainingError:
            raise
        except Exception as error:
            # Keras raises a bare Exception when a download fails.
            raise WeightsUnavailableError(
                f"The ImageNet weights of {chosen.name} could not be downloaded. Connect to the "
                f"network, or put {chosen.weights_file} in a folder and name it with --weights-dir."
            ) from error
    file = find_weights(Path(weights), chosen)
    if file is None:
        raise WeightsUnavailableError(
            f"{weights} has no {chosen.weights_file}. Put it there, or leave --weights-dir out."
        )
    try:
        return chosen.base(images, str(file), seed)
    except (ValueError, OSError, KeyError) as error:
        raise WeightsError(
            f"{file} does not hold the weights of {chosen.name} without its top: {error}"
        ) from error


def scale(images: keras.KerasTensor, scaling: Scaling) -> keras.KerasTensor:
    """Scale images [n, 224, 224, 3], RGB in 0 to 255, to what a backbone expects."""
    if scaling == "none":
        return images
    if scaling == "caffe":
        return CaffeScaling(name=NAME)(images)
    if scaling == "efficientnet-lite":
        return keras.layers.Rescaling(1 / 128, -127 / 128, name=NAME)(images)
    if scaling == "torchvision":
        deviation = np.array(IMAGENET_DEVIATION)
        offset = -np.array(IMAGENET_MEAN) / deviation
        factor = 1 / (255 * deviation)
        return keras.layers.Rescaling(factor.tolist(), offset.tolist(), name=NAME)(images)
    return keras.layers.Rescaling(1 / 127.5, -1.0, name=NAME)(images)


@keras.saving.register_keras_serializable(package="lentigo")
class CaffeScaling(keras.layers.Layer):  # type: ignore[misc] # untyped
    """RGB to BGR, minus the mean of each channel over ImageNet.

    A layer without parameters, because a convolution that does the same would add some to the
    published totals.
    """

    def call(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Scale float32 [n, h, w, 3], RGB in 0 to 255, to about -124 to 151."""
        return images[..., ::-1] - IMAGENET_MEANS
