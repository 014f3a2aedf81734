"""What lies over a lesion in pictures of other clinics: hairs, a ruler, and traces of JPEG.

HAM10000's pictures were cleaned and cropped by hand; those of other archives were not. Hairs are
arcs of large circles, a ruler is a row of ticks along one edge, and JPEG is the rounding of cosine
coefficients in blocks of 8x8 pixels (ITU-T T.81) without its lossless part. Each is drawn with a
chance of its own, and only the images that have it are computed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_trainer.config.fine_tuning import AugmentationConfig

Floats = npt.NDArray[np.float32]

HAIRS: Final = 8
"""The most hairs that an image gets."""

_BLOCK: Final = 8

_MIDDLE: Final = 128.0
"""Coefficients are of the differences from it, so that rounding leaves a middle grey alone."""

# From RGB to luma and two differences of colour (ITU-T T.871, JFIF), without the offset of 128.
_TO_YCC: Final = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)

# ITU-T T.81, tables K.1 and K.2: the steps of luma and of colour at quality 50.
_LUMA_STEPS: Final = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_COLOUR_STEPS: Final = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)


@dataclass(frozen=True, slots=True)
class Overlays:
    """What lies over n images.

    Attributes:
        hairs: float32 [n, 8, 5], of each hair the centre of its circle across and down, the
            radius, the width, all as shares of the side, and how much of the skin it hides; 0 for
            no hair.
        hair_colour: float32 [n], grey, 0 to 255.
        ruler: float32 [n, 6], the edge that the ticks stand at (0 to 3), their distance from it,
            pitch, length and width, as shares of the side, and how much of the skin they hide; 0
            for no ruler.
        quality: float32 [n], of JPEG, 1 to 100; 0 for no JPEG.
    """

    hairs: Floats
    hair_colour: Floats
    ruler: Floats
    quality: Floats


def draw_overlays(limits: AugmentationConfig, count: int, draw: np.random.Generator) -> Overlays:
    """Draw what lies over an epoch's images.

    Args:
        limits: has the chances.
        count: number of images.
        draw: source of random numbers.
    """
    angle = draw.uniform(0, 2 * np.pi, (count, HAIRS))
    # Smaller circles would be seen whole, and no hair is a ring.
    radius = np.exp(draw.uniform(np.log(0.8), np.log(5), (count, HAIRS)))
    # The arc passes the image's centre at this distance.
    distance = draw.uniform(-0.5, 0.5, (count, HAIRS)) + radius
    hairy = draw.random((count, 1)) < limits.hairs
    grown = hairy & (draw.random((count, HAIRS)) < 0.6)
    hairs = np.stack(
        [
            0.5 + np.cos(angle) * distance,
            0.5 + np.sin(angle) * distance,
            radius,
            draw.uniform(0.003, 0.009, (count, HAIRS)),
            draw.uniform(0.5, 0.95, (count, HAIRS)) * grown,
        ],
        axis=-1,
    )
    dark = draw.random(count) < 0.85
    colour = np.where(dark, draw.uniform(10, 80, count), draw.uniform(180, 240, count))
    ruler = np.column_stack(
        [
            draw.integers(0, 4, count),
            draw.uniform(0, 0.15, count),
            draw.uniform(0.03, 0.12, count),
            draw.uniform(0.03, 0.1, count),
            draw.uniform(0.006, 0.015, count),
            draw.uniform(0.5, 0.95, count) * (draw.random(count) < limits.ruler),
        ]
    )
    quality = draw.uniform(30, 95, count) * (draw.random(count) < limits.jpeg)
    return Overlays(
        hairs.astype(np.float32),
        colour.astype(np.float32),
        ruler.astype(np.float32),
        quality.astype(np.float32),
    )


def lay_over(images: tf.Tensor, hairs: Floats, hair_colour: Floats, ruler: Floats) -> tf.Tensor:
    """Draw hairs and rulers over images.

    Args:
        images: float32 [n, side, side, 3] in 0 to 255.
        hairs: see `Overlays`.
        hair_colour: see `Overlays`.
        ruler: see `Overlays`.

    Returns:
        float32 [n, side, side, 3] in 0 to 255.
    """
    hairy = tf.reduce_any(hairs[..., -1] > 0, axis=1)
    with_hairs = _where(hairy, images, _with_hairs, hairs, hair_colour)
    return _where(ruler[:, -1] > 0, with_hairs, _with_ruler, ruler)


def through_jpeg(images: tf.Tensor, quality: Floats) -> tf.Tensor:
    """Leave the traces of JPEG in images.

    Args:
        images: float32 [n, side, side, 3] in 0 to 255.
        quality: see `Overlays`.

    Returns:
        float32 [n, side, side, 3] in 0 to 255.
    """
    return _where(quality > 0, images, _rounded, quality)


def pixel_centres(side: int | tf.Tensor) -> tf.Tensor:
    """Return the centres of a side's pixels, 0 to 1: float32 [side]."""
    length = tf.cast(side, tf.float32)
    return (tf.range(length) + 0.5) / length


def _where(
    chosen: tf.Tensor, images: tf.Tensor, change: Callable[..., tf.Tensor], *columns: tf.Tensor
) -> tf.Tensor:
    """Change the chosen images; `change` gets them and their part of the columns."""
    places = tf.where(chosen)
    rows = places[:, 0]
    return tf.cond(
        tf.size(rows) > 0,
        lambda: tf.tensor_scatter_nd_update(
            images,
            places,
            change(tf.gather(images, rows), *(tf.gather(column, rows) for column in columns)),
        ),
        lambda: tf.identity(images),
    )


def _with_hairs(images: tf.Tensor, hairs: tf.Tensor, colour: tf.Tensor) -> tf.Tensor:
    centres = pixel_centres(tf.shape(images)[1])
    across, down, radius, width, cover = tf.unstack(hairs[:, :, None, None], axis=-1)
    distance = tf.abs(
        tf.sqrt(tf.square(centres - across) + tf.square(centres[:, None] - down)) - radius
    )
    # The edge of a hair is soft over its own width.
    opaque = tf.clip_by_value(1.25 - distance / width, 0.0, 1.0) * cover
    return _covered(images, tf.reduce_max(opaque, axis=1), tf.reshape(colour, (-1, 1, 1, 1)))


def _with_ruler(images: tf.Tensor, ruler: tf.Tensor) -> tf.Tensor:
    centres = pixel_centres(tf.shape(images)[1])
    edge, start, pitch, length, width, cover = (
        tf.reshape(column, (-1, 1, 1)) for column in tf.unstack(ruler, axis=-1)
    )
    down = tf.broadcast_to(centres[None, :, None], tf.shape(images)[:3])
    across = tf.transpose(down, (0, 2, 1))
    upright = (edge == 0) | (edge == 1)
    along, depth = tf.where(upright, across, down), tf.where(upright, down, across)
    depth = tf.where((edge == 1) | (edge == 3), 1 - depth, depth) - start
    tick = tf.math.floormod(along, pitch) < width
    opaque = tf.cast(tick & (depth >= 0) & (depth < length), tf.float32) * cover
    return _covered(images, opaque, 20.0)


def _covered(images: tf.Tensor, opaque: tf.Tensor, colour: tf.Tensor | float) -> tf.Tensor:
    return images + opaque[..., None] * (colour - images)


def _rounded(images: tf.Tensor, quality: tf.Tensor) -> tf.Tensor:
    """Round the cosine coefficients of blocks, as JPEG does, with colours at full resolution."""
    side = tf.shape(images)[1]
    missing = -side % _BLOCK
    padded = tf.pad(images, [[0, 0], [0, missing], [0, missing], [0, 0]], "SYMMETRIC")
    blocks = tf.shape(padded)[1] // _BLOCK
    shape = (-1, blocks, _BLOCK, blocks, _BLOCK, 3)
    colours = tf.reshape((padded - _MIDDLE) @ _TO_YCC.T, shape)
    basis = _cosines()
    coefficients = tf.einsum("ur,nbrcsk,vs->nbucvk", basis, colours, basis)
    # The scale of the steps by quality is that of libjpeg.
    scale = tf.where(quality < 50, 50 / quality, 2 - quality / 50)
    tables = np.array([_LUMA_STEPS, _COLOUR_STEPS, _COLOUR_STEPS], np.float32).transpose(1, 2, 0)
    steps = tf.round(tables[:, None] * tf.reshape(scale, (-1, 1, 1, 1, 1, 1)))
    steps = tf.maximum(1.0, steps)
    rounded = tf.round(coefficients / steps) * steps
    restored = tf.reshape(
        tf.einsum("ur,nbucvk,vs->nbrcsk", basis, rounded, basis), tf.shape(padded)
    )
    back = np.linalg.inv(_TO_YCC).T.astype(np.float32)
    return tf.clip_by_value(restored @ back + _MIDDLE, 0.0, 255.0)[:, :side, :side]


def _cosines() -> Floats:
    """Return the orthonormal cosines of a block, [8, 8], by frequency and place."""
    place = np.arange(_BLOCK)
    waves = np.cos((2 * place + 1) * place[:, None] * np.pi / (2 * _BLOCK)) * np.sqrt(2 / _BLOCK)
    waves[0] /= np.sqrt(2)
    cosines: Floats = waves.astype(np.float32)
    return cosines
