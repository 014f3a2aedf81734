"""Out-of-distribution detection: how far an image is from the training images.

The score is the Mahalanobis distance (Lee et al., "A Simple Unified Framework for Detecting
Out-of-Distribution Samples and Adversarial Attacks", NeurIPS 2018) of a layer's features, averaged
over the image, from their mean over the training images, with one covariance for all diagnoses. The
manifest and the model's output call it `unlikeness`. The logits and the last features separate
worse: there a network keeps what distinguishes the diagnoses and drops the rest.

The covariance is kept in its leading principal directions, and taken as equal in all others
(Moghaddam and Pentland, "Probabilistic Visual Learning for Object Representation", IEEE TPAMI 19,
1997: distance in feature space and distance from it). The matrix that a version carries is then an
eighth of the whole one or less.
docs/decisions/0015-out-of-distribution-by-mahalanobis-distance.md has the evidence for both.

The detector is fitted to training images as they are and as other dermatoscopes, cameras and
archives might have produced them. The camera must not make an image look unlike a lesion: the round
edge of the view, a lens slightly out of focus, other light, a closer look, harder compression.
HAM10000 has little of that, and a distance fitted to it alone refuses nine in ten of the images
with black corners.
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
the training images hardly vary must not decide alone."""

LEADING: Final = 64
"""Principal directions in which the covariance is kept. With 32 or fewer, photographs come closer;
with 96 or more, nothing is gained."""

FITTING_IMAGES: Final = 2500
"""Most training images to fit to, each as it is and as by another camera."""

_BATCH: Final = 32

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class MahalanobisDetector:
    """The squared distance, divided by the number of features: about 1 for training images.

    Attributes:
        layer: name of the layer whose features are used.
        mean: of the features, float32 [c].
        scale: of what is away from it, so that its squared length is the score of an image that is
            away in none of the leading directions.
        leading: float32 [c, k]; the squared length along them is what they take off this.
    """

    layer: str
    mean: Floats
    scale: float
    leading: Floats

    def method(self) -> str:
        """Describe the score in a sentence for the manifest."""
        channels, directions = self.leading.shape
        kept = (
            ""
            if directions == channels
            else f", with a covariance that is kept in {directions} principal directions and equal "
            "in all others"
        )
        return (
            f"squared Mahalanobis distance of the features behind {self.layer}, averaged over the "
            "image, from those of training images, as they are and as other cameras might have "
            f"taken them{kept}; divided by the number of features, {channels}"
        )

    def of(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """Compute the score, with operations that any engine can run.

        Args:
            features: output of the layer, float32 [n, h, w, c].

        Returns:
            float32 [n], 0 and above.
        """
        away = (ops.mean(features, axis=(1, 2)) - self.mean) * self.scale
        along = ops.matmul(away, self.leading)
        # Never below 0 but for rounding.
        return ops.relu(ops.sum(away * away, axis=1) - ops.sum(along * along, axis=1))


def fit_detector(
    network: Network,
    images: Pixels,
    train: npt.NDArray[np.intp],
    seed: int,
    progress: Progress,
) -> MahalanobisDetector:
    """Fit the detector to the features of training images.

    Args:
        network: trained.
        images: uint8 [n, 224, 224, 3], of the whole data set.
        train: rows of the training images; no other is used.
        seed: of the draw and of the variations.
        progress: receives how many images are done.

    Raises:
        TrainingError: see `fit_mahalanobis`.
    """
    layer = stage_before_last(network.whole, network.feature_map)
    features_of = feature_extractor(network.whole, [layer])
    run = tf.function(lambda batch: tf.reduce_mean(features_of(batch, training=False), axis=(1, 2)))
    generator = np.random.default_rng(seed)
    chosen = np.sort(generator.permutation(train)[:FITTING_IMAGES])
    blocks = []
    with progress.track(
        "Fitting out-of-distribution detector", total=len(chosen), unit="images"
    ) as step:
        for start in range(0, len(chosen), _BATCH):
            plain = images[chosen[start : start + _BATCH]]
            varied = [simulate_other_camera(image, generator) for image in plain]
            batches = (plain, np.stack(varied))
            blocks += [run(tf.cast(batch, tf.float32)).numpy() for batch in batches]
            step.advance(len(plain))
    return fit_mahalanobis(
        layer, np.concatenate(blocks) if blocks else np.empty((0, 1), np.float32)
    )


def stage_before_last(whole: keras.Model, feature_map: str) -> str:
    """Return the deepest layer with at least twice the resolution of the last feature map.

    In MobileNet that is `conv_pw_11_relu`, 14 x 14 cells of 512 features. Padding layers are
    skipped: their zeros would only dilute the mean.

    Args:
        whole: model from images to logits.
        feature_map: name of the layer with the last feature map.
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


def fit_mahalanobis(layer: str, pooled: Floats) -> MahalanobisDetector:
    """Fit the distance to features.

    Args:
        layer: where the features come from.
        pooled: of training images, float32 [n, c], averaged over each image.

    Raises:
        TrainingError: fewer than two images, or features that are not numbers or all the same.
    """
    if len(pooled) < 2:
        raise TrainingError(
            f"Fitting the detector needs at least two training images, not {len(pooled)}."
        )
    values = pooled.astype(np.float64)
    if not np.isfinite(values).all() or (values == values[0]).all():
        raise TrainingError(
            f"The features behind {layer} are not numbers, or the same for every training image. "
            "Check that training did not diverge."
        )
    mean = values.mean(axis=0)
    centred = values - mean
    # Ascending, as LAPACK gives them.
    variances, directions = np.linalg.eigh(centred.T @ centred / len(values))
    variances, directions = np.maximum(variances[::-1], 0), directions[:, ::-1]
    channels = len(variances)
    shrunk = (1 - SHRINKAGE) * variances + SHRINKAGE * variances.mean()
    count = min(LEADING, channels)
    rest = _equal_variance(variances[count:], shrunk[count:], shrunk[-1])
    # With variance l in the leading directions u and r elsewhere, the inverse of the covariance is
    # (I - sum of (1 - r / l) u u') / r.
    less = np.maximum(1 - rest / shrunk[:count], 0)
    leading = directions[:, :count] * np.sqrt(less)
    return MahalanobisDetector(
        layer,
        mean.astype(np.float32),
        float(1 / np.sqrt(rest * channels)),
        leading.astype(np.float32),
    )


def _equal_variance(
    variances: npt.NDArray[np.float64], shrunk: npt.NDArray[np.float64], least: float
) -> float:
    """Return the variance that replaces others, so that the mean score stays what it was.

    The mean of the variances themselves would give higher scores, and limits that were chosen on
    scores by the whole covariance would not hold.

    Args:
        variances: of the features in these directions, [m].
        shrunk: those that the distance is computed with, [m].
        least: of all; taken where there is no variance in these directions.
    """
    total = variances.sum()
    return float(total / (variances / shrunk).sum()) if total > 0 else least


def simulate_other_camera(pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """Vary an image: a closer look, blur, light, edge and compression, each with a chance.

    Args:
        pixels: uint8 [side, side, 3] RGB.
        generator: source of randomness.

    Returns:
        An image of the same shape.
    """
    side = len(pixels)
    image = Image.fromarray(pixels)
    if generator.random() < 0.5:
        part = int(side * generator.uniform(0.6, 1))
        left, top = generator.integers(0, side - part + 1, 2).tolist()
        image = image.resize(
            (side, side), Image.Resampling.BILINEAR, (left, top, left + part, top + part)
        )
    if generator.random() < 0.5:
        # In pixels of 224; a blur of 2 costs the diagnosis more than it may.
        radius = generator.uniform(0.3, 1.5) * side / 224
        image = image.filter(ImageFilter.GaussianBlur(radius))
    lit = np.asarray(image) * generator.uniform(0.75, 1.2) * generator.uniform(0.9, 1.1, 3)
    if generator.random() < 0.35:
        lit = _darken_edge(lit, generator)
    image = Image.fromarray(lit.clip(0, 255).astype(np.uint8))
    if generator.random() < 0.5:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(generator.integers(40, 95)))
        image = Image.open(file)
    return np.asarray(image)


def _darken_edge(
    image: npt.NDArray[np.float64], generator: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Darken everything outside a circle; the smallest circle leaves half of the image."""
    y, x = np.mgrid[-1 : 1 : len(image) * 1j, -1 : 1 : len(image) * 1j]
    right, down = generator.uniform(-0.1, 0.1, 2)
    inside = np.hypot(x - right, y - down) < generator.uniform(0.8, 1.25)
    return np.where(inside[..., None], image, generator.uniform(0, 25))
