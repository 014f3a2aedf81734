"""Fitting the distance to a network and its training images."""

from typing import Final

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_trainer.models.classifier import Network, opened
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.unlikeness.distance import Unlikeness, fitted
from lentigo_trainer.unlikeness.other_cameras import as_by_another_camera

FITTING_IMAGES: Final = 2500
"""Training images that it is fitted to at most, each as it is and as by another camera."""

_BATCH: Final = 32

Pixels = npt.NDArray[np.uint8]


def fit_unlikeness(
    network: Network,
    images: Pixels,
    train: npt.NDArray[np.intp],
    seed: int,
    progress: Progress,
) -> Unlikeness:
    """Run training images through a network, and fit.

    Args:
        network: trained.
        images: uint8 [n, 224, 224, 3], of the whole data set.
        train: rows of those that train; no other is looked at.
        seed: of the draw and of the variations.
        progress: told how many images are done.

    Raises:
        TrainingError: see `distance.fitted`.
    """
    layer = stage_before_last(network.whole, network.feature_map)
    see = opened(network.whole, [layer])
    run = tf.function(lambda batch: tf.reduce_mean(see(batch, training=False), axis=(1, 2)))
    by_chance = np.random.default_rng(seed)
    chosen = np.sort(by_chance.permutation(train)[:FITTING_IMAGES])
    blocks = []
    with progress.track("Fitting unlikeness", total=len(chosen), unit="images") as step:
        for start in range(0, len(chosen), _BATCH):
            plain = images[chosen[start : start + _BATCH]]
            varied = [as_by_another_camera(picture, by_chance) for picture in plain]
            batches = (plain, np.stack(varied))
            blocks += [run(tf.cast(batch, tf.float32)).numpy() for batch in batches]
            step.advance(len(plain))
    return fitted(layer, np.concatenate(blocks) if blocks else np.empty((0, 1), np.float32))


def stage_before_last(whole: keras.Model, feature_map: str) -> str:
    """Name the deepest layer that still sees twice as fine as the last feature map, or finer.

    In MobileNet that is `conv_pw_11_relu`, 14 x 14 cells of 512 features. Padding is passed over:
    its zeros would only water the mean down.

    Args:
        whole: images to logits.
        feature_map: name of the layer that gives the last feature map.
    """
    names = [layer.name for layer in whole.layers]
    front = whole.layers[: names.index(feature_map)]
    cells = 2 * whole.get_layer(feature_map).output.shape[1]
    fine = [
        layer.name
        for layer in front
        if len(layer.output.shape) == 4
        and layer.output.shape[1] >= cells
        and not isinstance(layer, keras.layers.ZeroPadding2D | keras.layers.InputLayer)
    ]
    return fine[-1] if fine else feature_map
