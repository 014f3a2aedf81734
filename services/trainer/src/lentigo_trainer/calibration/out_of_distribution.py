"""The distance of a picture from those a network learnt from, by what one of its layers sees.

Mahalanobis distance (Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution
Samples and Adversarial Attacks", NeurIPS 2018) of a layer's features, averaged over the picture,
from their mean over the training images, with one covariance for all diagnoses. The logits and the
last features tell less: a network keeps there what tells one diagnosis from the other and forgets
the rest. docs/decisions/0015-out-of-distribution-by-mahalanobis-distance.md has the figures.

Training images as other dermatoscopes, cameras and archives might have given them.

What a picture owes to its camera shall not make it unlike a lesion: the round edge of the view, a
lens slightly out of focus, another light, a closer look, harder compression. HAM10000 has little of
that, and a distance fitted to it alone refuses nine in ten of the pictures with black corners.

Fitting the distance to a network and its training images.
"""

import io
from dataclasses import dataclass
from typing import Final

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import ops
from PIL import Image, ImageFilter

from lentigo_trainer.errors import TrainingError
from lentigo_trainer.models.classifier import Network, feature_extractor
from lentigo_trainer.system.progress import Progress

SHRINKAGE: Final = 0.03
"""Share of the covariance that is replaced by equal variances (Ledoit and Wolf, "A
Well-Conditioned Estimator for Large-Dimensional Covariance Matrices", 2004): directions in which
the training images hardly vary shall not decide alone."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MahalanobisDetector:
    """The squared distance, divided by the number of features: about 1 for what it was fitted to.

    Attributes:
        layer: name of the layer whose features count.
        whitening: float32 [c, c]; features @ whitening have variance 1 / c in every direction.
        offset: float32 [c], added, so that their mean is 0.
    """

    layer: str
    whitening: Floats
    offset: Floats

    def method(self) -> str:
        """Say what it is, in a sentence for the manifest."""
        return (
            f"squared Mahalanobis distance of the features behind {self.layer}, averaged over the "
            "picture, from those of training images, as they are and as other cameras might have "
            f"taken them; divided by the number of features, {len(self.offset)}"
        )

    def of(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """Compute it, as forward operations that any engine can run.

        Args:
            features: what the layer gives, float32 [n, h, w, c].

        Returns:
            float32 [n], 0 and above.
        """
        pooled = ops.mean(features, axis=(1, 2))
        white = ops.matmul(pooled, self.whitening) + self.offset
        return ops.sum(white * white, axis=1)


def fit_mahalanobis(layer: str, pooled: Floats) -> MahalanobisDetector:
    """Fit the distance.

    Args:
        layer: where the features come from.
        pooled: of training images, float32 [n, c], averaged over each picture.

    Raises:
        TrainingError: fewer than two images, or features that are no numbers or all the same.
    """
    if len(pooled) < 2:
        raise TrainingError(f"Unlikeness takes at least two training images, not {len(pooled)}.")
    values = pooled.astype(np.float64)
    if not np.isfinite(values).all() or (values == values[0]).all():
        raise TrainingError(
            f"The features behind {layer} are no numbers, or the same for every training image. "
            "Check that training did not diverge."
        )
    centred = values - values.mean(axis=0)
    covariance = centred.T @ centred / len(values)
    channels = len(covariance)
    evenly = np.trace(covariance) / channels
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * evenly * np.eye(channels)
    # x @ whitening has the length that x has under the inverse of the covariance.
    whitening = np.linalg.cholesky(np.linalg.inv(shrunk)) / np.sqrt(channels)
    offset = -values.mean(axis=0) @ whitening
    return MahalanobisDetector(layer, whitening.astype(np.float32), offset.astype(np.float32))


Pixels = npt.NDArray[np.uint8]


def as_by_another_camera(pixels: Pixels, by_chance: np.random.Generator) -> Pixels:
    """Vary one picture: a closer look, blur, light, edge and compression, each in some of them.

    Args:
        pixels: uint8 [side, side, 3] RGB.
        by_chance: where the draws come from.

    Returns:
        A picture of the same shape.
    """
    side = len(pixels)
    picture = Image.fromarray(pixels)
    if by_chance.random() < 0.5:
        part = int(side * by_chance.uniform(0.6, 1))
        left, top = by_chance.integers(0, side - part + 1, 2).tolist()
        picture = picture.resize(
            (side, side), Image.Resampling.BILINEAR, (left, top, left + part, top + part)
        )
    if by_chance.random() < 0.5:
        # In pixels of 224; a blur of 2 costs the diagnosis more than it may.
        radius = by_chance.uniform(0.3, 1.5) * side / 224
        picture = picture.filter(ImageFilter.GaussianBlur(radius))
    lit = np.asarray(picture) * by_chance.uniform(0.75, 1.2) * by_chance.uniform(0.9, 1.1, 3)
    if by_chance.random() < 0.35:
        lit = _in_a_round_view(lit, by_chance)
    picture = Image.fromarray(lit.clip(0, 255).astype(np.uint8))
    if by_chance.random() < 0.5:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=int(by_chance.integers(40, 95)))
        picture = Image.open(file)
    return np.asarray(picture)


def _in_a_round_view(
    picture: npt.NDArray[np.float64], by_chance: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Darken what lies outside of a circle; at the smallest it leaves half of the picture."""
    y, x = np.mgrid[-1 : 1 : len(picture) * 1j, -1 : 1 : len(picture) * 1j]
    right, down = by_chance.uniform(-0.1, 0.1, 2)
    inside = np.hypot(x - right, y - down) < by_chance.uniform(0.8, 1.25)
    return np.where(inside[..., None], picture, by_chance.uniform(0, 25))


FITTING_IMAGES: Final = 2500
"""Training images that it is fitted to at most, each as it is and as by another camera."""

_BATCH: Final = 32


def fit_detector(
    network: Network,
    images: Pixels,
    train: npt.NDArray[np.intp],
    seed: int,
    progress: Progress,
) -> MahalanobisDetector:
    """Run training images through a network, and fit.

    Args:
        network: trained.
        images: uint8 [n, 224, 224, 3], of the whole data set.
        train: rows of those that train; no other is looked at.
        seed: of the draw and of the variations.
        progress: told how many images are done.

    Raises:
        TrainingError: see `distance.fit_mahalanobis`.
    """
    layer = stage_before_last(network.whole, network.feature_map)
    see = feature_extractor(network.whole, [layer])
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
    return fit_mahalanobis(
        layer, np.concatenate(blocks) if blocks else np.empty((0, 1), np.float32)
    )


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
