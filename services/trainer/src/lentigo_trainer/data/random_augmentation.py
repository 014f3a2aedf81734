"""Random augmentation for fine-tuning: one affine map and one colour change per image, and mixup.

Augmentations are drawn for a whole epoch at once, so an image's augmentation is a pure function of
the epoch's seed and the image's position. `ImageProjectiveTransformV3` applies the affine map, as
in the paper's augmentation, and resamples the image to the size of the epoch. Pixels beyond the
border are mirrored, because no dermatoscopic image has streaks of the nearest pixel.

Rotation resamples an image between its pixels and so blurs it. At prediction images are not
rotated, and a network trained only on blurred images misreads their fine detail
(docs/experiments.md, trial 4), so augmentation can sharpen the images again.

Mixup blends each image with another of its batch, and their labels in the same way (Zhang et al.,
"mixup: Beyond Empirical Risk Minimization", ICLR 2018).
"""

from dataclasses import asdict, dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_trainer.config.fine_tuning import AugmentationConfig
from lentigo_trainer.data.overlays import draw_overlays, lay_over, pixel_centres, through_jpeg

Floats = npt.NDArray[np.float32]

ASPECT: Final = 4 / 3
"""Width over height of HAM10000's images before they were squashed to a square. Images are rotated
in these proportions, as if the camera were turned."""

_GREY: Final = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in luma (ITU-R BT.601)."""


@dataclass(frozen=True, slots=True)
class DrawnAugmentations:
    """Augmentations of n images.

    Attributes:
        maps: float32 [n, 8], from the result's pixels to points of the original, as
            `augmentation.maps_of` writes them.
        colours: float32 [n, 3, 3], result = colour @ this, after the contrast.
        contrast: float32 [n], factor for the differences from the image's mean.
        brightness: float32 [n], added, in 0 to 255.
        sharpness: float32 [n], how much of an image's fine detail is added; -1 removes all of it.
        gamma: float32 [n], the power of the brightness.
        view: float32 [n, 4], the round field of view: its centre across and down and its radius, in
            halves of the result's side from its centre, and the share of light around it.
        erased: float32 [n, 4], left, right, top and bottom of the erased rectangle, as shares of
            the result's side; empty for none.
        hairs: see `overlays.Overlays`, as the next three.
        hair_colour: float32 [n].
        ruler: float32 [n, 6].
        quality: float32 [n], of JPEG.
    """

    maps: Floats
    colours: Floats
    contrast: Floats
    brightness: Floats
    sharpness: Floats
    gamma: Floats
    view: Floats
    erased: Floats
    hairs: Floats
    hair_colour: Floats
    ruler: Floats
    quality: Floats

    @property
    def columns(self) -> tuple[Floats, ...]:
        """The fields in their order, each with a row per image."""
        return tuple(getattr(self, field.name) for field in fields(self))


def draw_augmentations(
    limits: AugmentationConfig,
    count: int,
    side: int,
    seed: int,
    aspects: float | Floats = ASPECT,
) -> DrawnAugmentations:
    """Draw the augmentations of an epoch's images.

    Args:
        limits: the limits of the draws.
        count: number of images.
        side: of the result, in pixels.
        seed: use another for every epoch.
        aspects: width over height of the images before they were squashed, [count] or one for all.
    """
    draw = np.random.default_rng(seed)

    def between(low: float, high: float, *more: int) -> npt.NDArray[np.float64]:
        return draw.uniform(low, high, (count, *more))

    angle = np.deg2rad(between(-limits.rotation, limits.rotation))
    zoom = np.exp(between(np.log(limits.zoom_in), np.log(limits.zoom_out)))
    stretch = np.exp(between(-1, 1) * np.log1p(limits.stretch) / 2)
    flips = draw.integers(0, 2, (count, 2)) * 2 - 1
    shift = between(-limits.shift, limits.shift, 2) * MODEL_SIDE
    maps = _maps(angle, zoom, stretch, flips, shift, side, aspects)
    grey = np.tile(np.array(_GREY)[:, None], (1, 3))
    saturation = 1 + between(-limits.saturation, limits.saturation, 1, 1)
    mix = saturation * np.eye(3) + (1 - saturation) * grey
    tint = 1 + between(-limits.tint, limits.tint, 1, 3)
    return DrawnAugmentations(
        maps=maps,
        colours=(mix @ _hue_rotations(between(-limits.hue, limits.hue)) * tint).astype(np.float32),
        contrast=(1 + between(-limits.contrast, limits.contrast)).astype(np.float32),
        brightness=(255 * between(-limits.brightness, limits.brightness)).astype(np.float32),
        sharpness=between(-limits.blur, limits.sharpen).astype(np.float32),
        gamma=np.exp(between(-1, 1) * np.log1p(limits.gamma)).astype(np.float32),
        view=_draw_views(limits.dark_corners, count, draw),
        erased=_draw_rectangles(limits.erase, count, draw),
        # Drawn last, so that recipes without them draw the rest as before.
        **asdict(draw_overlays(limits, count, draw)),
    )


def augment(images: tf.Tensor, augmentations: DrawnAugmentations, side: int) -> tf.Tensor:
    """Apply augmentations to images.

    Args:
        images: float32 [n, 224, 224, 3] in 0 to 255.
        augmentations: of these n images.
        side: of the result, the same as for `draw_augmentations`.

    Returns:
        float32 [n, side, side, 3] in 0 to 255.
    """
    mapped = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=augmentations.maps,
        output_shape=tf.constant([side, side], tf.int32),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    mapped = 255 * (mapped / 255) ** tf.reshape(augmentations.gamma, (-1, 1, 1, 1))
    mapped += tf.reshape(augmentations.sharpness, (-1, 1, 1, 1)) * (mapped - _blurred(mapped))
    mean = tf.reduce_mean(mapped, axis=(1, 2), keepdims=True)
    contrast = tf.reshape(augmentations.contrast, (-1, 1, 1, 1))
    brightness = tf.reshape(augmentations.brightness, (-1, 1, 1, 1))
    # (x - mean) * contrast + mean + brightness, then the colours, as one product and one sum.
    offset = tf.squeeze(mean * (1 - contrast) + brightness, 1)
    flat = tf.reshape(mapped, (-1, side * side, 3))
    factors = tf.reshape(contrast, (-1, 1, 1)) * augmentations.colours
    mix = tf.matmul(flat, factors) + tf.matmul(offset, augmentations.colours)
    coloured = tf.reshape(tf.clip_by_value(mix, 0.0, 255.0), (-1, side, side, 3))
    overlaid = lay_over(
        coloured, augmentations.hairs, augmentations.hair_colour, augmentations.ruler
    )
    erased = _inside(augmentations.erased, side)
    filled = overlaid + erased * (tf.reduce_mean(overlaid, axis=(1, 2), keepdims=True) - overlaid)
    return through_jpeg(filled * _light(augmentations.view, side), augmentations.quality)


def draw_weights(alpha: float, count: int, seed: int) -> npt.NDArray[np.float32]:
    """Draw the weights of mixup.

    Args:
        alpha: both parameters of the Beta distribution that the weights are drawn from; 0 leaves
            every image unchanged.
        count: number of images.
        seed: use another for every epoch.

    Returns:
        float32 [count], 0.5 to 1: an image keeps at least half of itself.
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
        weights: float32 [n], 0 to 1, the share of each image that is kept.

    Returns:
        Blended images and targets, in the same shapes.
    """
    of_image, of_target = tf.reshape(weights, (-1, 1, 1, 1)), weights[:, None]
    return (
        of_image * images + (1 - of_image) * tf.reverse(images, [0]),
        of_target * targets + (1 - of_target) * tf.reverse(targets, [0]),
    )


def _maps(
    angle: npt.NDArray[np.float64],
    zoom: npt.NDArray[np.float64],
    stretch: npt.NDArray[np.float64],
    flips: npt.NDArray[np.int64],
    shift: npt.NDArray[np.float64],
    side: int,
    aspects: float | Floats,
) -> Floats:
    cosine, sine = np.cos(angle), np.sin(angle)
    across = zoom * stretch * flips[:, 0] * MODEL_SIDE / side
    down = zoom / stretch * flips[:, 1] * MODEL_SIDE / side
    a0, a1 = cosine * across, -sine * down / aspects
    b0, b1 = sine * across * aspects, cosine * down
    # The centre of the result shows the centre of the original, apart from the shift.
    here, there = (side - 1) / 2, (MODEL_SIDE - 1) / 2
    a2 = there - (a0 + a1) * here + shift[:, 0]
    b2 = there - (b0 + b1) * here + shift[:, 1]
    none = np.zeros_like(a0)
    return np.stack([a0, a1, a2, b0, b1, b2, none, none], axis=1).astype(np.float32)


def _hue_rotations(degrees: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return rotations of RGB around the grey axis, [n, 3, 3] (Rodrigues' formula)."""
    angle = np.deg2rad(degrees)[:, None, None]
    axis = np.full(3, 1 / np.sqrt(3))
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation: npt.NDArray[np.float64] = (
        np.cos(angle) * np.eye(3)
        + np.sin(angle) * cross
        + (1 - np.cos(angle)) * np.outer(axis, axis)
    )
    return rotation


def _draw_views(chance: float, count: int, draw: np.random.Generator) -> Floats:
    centre = draw.uniform(-0.15, 0.15, (count, 2))
    radius = draw.uniform(0.75, 1.2, count)
    light = draw.uniform(0, 0.25, count)
    # Without dark corners the field of view reaches far beyond the image.
    radius[draw.random(count) >= chance] = 9
    return np.column_stack([centre, radius, light]).astype(np.float32)


def _draw_rectangles(chance: float, count: int, draw: np.random.Generator) -> Floats:
    area = draw.uniform(0.02, 0.2, count)
    proportions = np.exp(draw.uniform(-1, 1, count))
    wide = np.minimum(1, np.sqrt(area * proportions))
    high = np.minimum(1, np.sqrt(area / proportions))
    left, top = draw.random((2, count)) * (1 - np.stack([wide, high]))
    chosen = draw.random(count) < chance
    wide, high = wide * chosen, high * chosen
    return np.column_stack([left, left + wide, top, top + high]).astype(np.float32)


def _inside(rectangles: Floats, side: int) -> tf.Tensor:
    """Return 1 inside of each rectangle and 0 outside: float32 [n, side, side, 1]."""
    centres = pixel_centres(side)[None]
    left, right, top, bottom = tf.split(rectangles, 4, axis=1)
    across = tf.cast((centres >= left) & (centres < right), tf.float32)
    down = tf.cast((centres >= top) & (centres < bottom), tf.float32)
    return (down[:, :, None] * across[:, None, :])[..., None]


def _light(views: Floats, side: int) -> tf.Tensor:
    """Return the light of each pixel, 1 in the field of view: float32 [n, side, side, 1]."""
    centres = 2 * pixel_centres(side)[None] - 1
    across, down, radius, dark = tf.split(views, 4, axis=1)
    distance = tf.sqrt(
        tf.square(centres - across)[:, None, :] + tf.square(centres - down)[:, :, None]
    )
    # The edge is soft over a twentieth of the image.
    beyond = tf.clip_by_value((distance - radius[..., None]) * 20, 0.0, 1.0)
    return (1 - beyond * (1 - dark[..., None]))[..., None]


def _blurred(images: tf.Tensor) -> tf.Tensor:
    """Blur with the kernel (1, 2, 1) / 4 in both directions."""
    wide = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    down = (wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]) / 4
    blurred: tf.Tensor = (down[:, :, :-2] + 2 * down[:, :, 1:-1] + down[:, :, 2:]) / 4
    return blurred
