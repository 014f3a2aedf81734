"""How each image of an epoch is varied: one map of the plane and one of the colours.

Drawn for a whole epoch at once from its seed, so a image's variation is a pure function of seed
and position. The plane's map goes through `ImageProjectiveTransformV3` as the paper's augmentation
does, and gives the image in the wanted size by the same resampling. What lies beyond the border
is mirrored: streaks of the nearest pixel look like nothing that a dermatoscope shows.

Turning a image between its pixels softens it. Images that are asked about are not turned, and a
network that only knows soft ones takes their fine detail for something else (docs/experiments.md,
trial 4): sharpening gives it back.

Mixup: each image is blended with another of its batch, and its label likewise.

Zhang et al., "mixup: Beyond Empirical Risk Minimization" (ICLR 2018).

Which originals an epoch shows: drawn by class, rare classes more often than they come.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_contract.labels import CODES
from lentigo_trainer.config.recipe import AugmentationConfig

Floats = npt.NDArray[np.float32]

ASPECT: Final = 4 / 3
"""Width over height of HAM10000's images before they were squashed to a square. A turned lesion
is turned in these proportions, as a turned camera would see it."""

_GREY: Final = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in luma (ITU-R BT.601)."""


@dataclass(frozen=True, slots=True)
class DrawnAugmentations:
    """What is done to each of n images.

    Attributes:
        maps: float32 [n, 8], from the result's pixels to points of the original, as
            `augmentation.maps_of` writes them.
        colours: float32 [n, 3, 3], result = colour @ this, behind the contrast.
        contrast: float32 [n], factor of the differences from the image's mean.
        brightness: float32 [n], added, in 0 to 255.
        sharpness: float32 [n], how much of a image's fine detail is added to it, -1 (none of it
            is left) and above.
    """

    maps: Floats
    colours: Floats
    contrast: Floats
    brightness: Floats
    sharpness: Floats


def draw_augmentations(
    widest: AugmentationConfig, count: int, side: int, seed: int
) -> DrawnAugmentations:
    """Draw the variations of an epoch's images.

    Args:
        widest: the widest of every draw.
        count: how many images.
        side: of the result, in pixels.
        seed: another for every epoch.
    """
    draw = np.random.default_rng(seed)

    def between(low: float, high: float, *more: int) -> npt.NDArray[np.float64]:
        return draw.uniform(low, high, (count, *more))

    angle = np.deg2rad(between(-widest.rotation, widest.rotation))
    zoom = np.exp(between(np.log(widest.zoom_in), np.log(widest.zoom_out)))
    stretch = np.exp(between(-1, 1) * np.log1p(widest.stretch) / 2)
    flips = draw.integers(0, 2, (count, 2)) * 2 - 1
    shift = between(-widest.shift, widest.shift, 2) * MODEL_SIDE
    maps = _maps(angle, zoom, stretch, flips, shift, side)
    grey = np.tile(np.array(_GREY)[:, None], (1, 3))
    saturation = 1 + between(-widest.saturation, widest.saturation, 1, 1)
    mix = saturation * np.eye(3) + (1 - saturation) * grey
    tint = 1 + between(-widest.tint, widest.tint, 1, 3)
    return DrawnAugmentations(
        maps=maps,
        colours=(mix * tint).astype(np.float32),
        contrast=(1 + between(-widest.contrast, widest.contrast)).astype(np.float32),
        brightness=(255 * between(-widest.brightness, widest.brightness)).astype(np.float32),
        sharpness=between(-widest.blur, widest.sharpen).astype(np.float32),
    )


def augment(images: tf.Tensor, variations: DrawnAugmentations, side: int) -> tf.Tensor:
    """Vary images.

    Args:
        images: float32 [n, 224, 224, 3] in 0 to 255.
        variations: of these n.
        side: of the result, as it was drawn for.

    Returns:
        float32 [n, side, side, 3] in 0 to 255.
    """
    turned = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=variations.maps,
        output_shape=tf.constant([side, side], tf.int32),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    turned += tf.reshape(variations.sharpness, (-1, 1, 1, 1)) * (turned - _softened(turned))
    mean = tf.reduce_mean(turned, axis=(1, 2), keepdims=True)
    contrast = tf.reshape(variations.contrast, (-1, 1, 1, 1))
    brightness = tf.reshape(variations.brightness, (-1, 1, 1, 1))
    # (x - mean) * contrast + mean + brightness, then the colours, as one product and one sum.
    offset = tf.squeeze(mean * (1 - contrast) + brightness, 1)
    flat = tf.reshape(turned, (-1, side * side, 3))
    factors = tf.reshape(contrast, (-1, 1, 1)) * variations.colours
    mix = tf.matmul(flat, factors) + tf.matmul(offset, variations.colours)
    return tf.reshape(tf.clip_by_value(mix, 0.0, 255.0), (-1, side, side, 3))


def _softened(images: tf.Tensor) -> tf.Tensor:
    """Take a quarter, a half and a quarter of neighbouring pixels, down and across."""
    wide = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    down = (wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]) / 4
    softened: tf.Tensor = (down[:, :, :-2] + 2 * down[:, :, 1:-1] + down[:, :, 2:]) / 4
    return softened


def _maps(
    angle: npt.NDArray[np.float64],
    zoom: npt.NDArray[np.float64],
    stretch: npt.NDArray[np.float64],
    flips: npt.NDArray[np.int64],
    shift: npt.NDArray[np.float64],
    side: int,
) -> Floats:
    cosine, sine = np.cos(angle), np.sin(angle)
    across = zoom * stretch * flips[:, 0] * MODEL_SIDE / side
    down = zoom / stretch * flips[:, 1] * MODEL_SIDE / side
    a0, a1 = cosine * across, -sine * down / ASPECT
    b0, b1 = sine * across * ASPECT, cosine * down
    # The middle of the result shows the middle of the original, but for the shift.
    here, there = (side - 1) / 2, (MODEL_SIDE - 1) / 2
    a2 = there - (a0 + a1) * here + shift[:, 0]
    b2 = there - (b0 + b1) * here + shift[:, 1]
    none = np.zeros_like(a0)
    return np.stack([a0, a1, a2, b0, b1, b2, none, none], axis=1).astype(np.float32)


def draw_weights(alpha: float, count: int, seed: int) -> npt.NDArray[np.float32]:
    """Draw how much of each image stays.

    Args:
        alpha: of the Beta distribution that the weights come from, both its parameters; 0 leaves
            every image as it is.
        count: how many images.
        seed: another for every epoch.

    Returns:
        float32 [count], 0.5 to 1: a image keeps at least as much of itself as it takes on.
    """
    if alpha == 0:
        return np.ones(count, np.float32)
    weights = np.random.default_rng(seed).beta(alpha, alpha, count)
    return np.maximum(weights, 1 - weights).astype(np.float32)


def mix(images: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Blend a batch with itself in reverse order.

    Args:
        images: float32 [n, h, w, 3].
        targets: float32 [n, 7], rows sum to 1.
        weights: float32 [n], 0 to 1: what stays of each.

    Returns:
        Both, in the same shapes.
    """
    of_image, of_target = tf.reshape(weights, (-1, 1, 1, 1)), weights[:, None]
    return (
        of_image * images + (1 - of_image) * tf.reverse(images, [0]),
        of_target * targets + (1 - of_target) * tf.reverse(targets, [0]),
    )


Shares = npt.NDArray[np.float64]


def class_shares(labels: npt.NDArray[np.int64], power: float) -> Shares:
    """Give each class's share of what is drawn: its images to a power, over the sum of all.

    Args:
        labels: class of every training image.
        power: 1 for classes as they come, 0 for all alike, between for a compromise (Mahajan et
            al., "Exploring the Limits of Weakly Supervised Pretraining", ECCV 2018: 0.5).

    Returns:
        [7], sums to 1; 0 for a class without an image.
    """
    counts = np.bincount(labels, minlength=len(CODES)).astype(np.float64)
    weights = np.where(counts > 0, counts**power, 0.0)
    shares: Shares = weights / weights.sum()
    return shares


def epoch_rows(
    labels: npt.NDArray[np.int64], shares: Shares, count: int, seed: int
) -> npt.NDArray[np.int64]:
    """Draw one epoch's images, shuffled.

    No image of a class comes a second time before all of the class have come once.

    Args:
        labels: class of every training image.
        shares: as `class_shares` gives them.
        count: about how many to draw; rounding each class may give a few more or less.
        seed: of the draw; another for every epoch.

    Returns:
        Indices into `labels`.
    """
    draw = np.random.default_rng(seed)
    drawn = []
    for label, share in enumerate(shares):
        of_class = np.flatnonzero(labels == label)
        wanted = round(share * count)
        passes = -(-wanted // max(1, len(of_class)))
        again = [draw.permutation(of_class) for _ in range(passes)]
        drawn.append(np.concatenate([*again, of_class[:0]])[:wanted])
    return draw.permutation(np.concatenate(drawn))
