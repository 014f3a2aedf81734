"""The paper's augmentation, as a pure function of the rows of an oversampling plan.

The seed of a row gives one affine map. The ranges are the paper's, in the terms of Keras'
`ImageDataGenerator`: rotation up to 180 degrees, shifts of a tenth of a side, zoom between 0.9 and
1.1 on each axis, both flips, and the nearest pixel beyond the border. All of it is one map, so an
image is resampled once, not five times.

`augmented_images` streams the images of a plan in order; `AugmentedImages` reads them by row.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_trainer.data.oversampling import Plan

ROTATION_DEGREES: Final = 180.0

SHIFT: Final = 0.1

ZOOM: Final = 0.1

_CENTRE: Final = (MODEL_SIDE - 1) / 2

_IDENTITY: Final = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)

Maps = npt.NDArray[np.float32]


def augmented_images(
    images: npt.NDArray[np.uint8], plan: Plan, batch_size: int, first_row: int = 0
) -> tf.data.Dataset:
    """Stream a plan's images in the order of its rows.

    Batches of originals only are returned unchanged.

    Args:
        images: uint8 [m, 224, 224, 3], the prepared array the plan's `source` numbers.
        plan: the image of each row, and how it is augmented.
        batch_size: rows per batch; the last batch can be shorter.
        first_row: where to start, to resume an interrupted pass.

    Returns:
        Batches of float32 [b, 224, 224, 3] in 0 to 255.
    """
    maps = maps_of(plan)

    def gather(source: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        return images[source]

    def draw(source: tf.Tensor, replica: tf.Tensor, transform: tf.Tensor) -> tf.Tensor:
        batch = tf.numpy_function(gather, [source], tf.uint8, stateful=False)
        batch.set_shape((None, MODEL_SIDE, MODEL_SIDE, 3))
        batch = tf.cast(batch, tf.float32)
        return tf.cond(tf.reduce_any(replica > 0), lambda: augment(batch, transform), lambda: batch)

    rows = (plan.source[first_row:], plan.replica[first_row:], maps[first_row:])
    return (
        tf.data.Dataset.from_tensor_slices(rows)
        .batch(batch_size)
        .map(draw, num_parallel_calls=2, deterministic=True)
        .prefetch(2)
    )


class AugmentedImages:
    """A plan's images by row number, augmented each time they are read.

    A row always gives the same image, so the images could be kept. But all of HAM10000 would take
    5.8 GB on disk, and be read in another order every epoch.

    Args:
        images: uint8 [m, 224, 224, 3], the prepared array the plan's `source` numbers.
        plan: the image of each row, and how it is augmented.
    """

    def __init__(self, images: npt.NDArray[np.uint8], plan: Plan) -> None:
        self._images = images
        self._plan = plan
        self._maps = maps_of(plan)

    def take(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return some rows: float32 [len(rows), 224, 224, 3] in 0 to 255."""
        originals = self._images[self._plan.source[rows]].astype(np.float32)
        if not self._plan.replica[rows].any():
            return originals
        drawn: npt.NDArray[np.float32] = augment(originals, self._maps[rows]).numpy()
        return drawn


def augment(images: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    """Apply one map to each image, bilinear, with the nearest pixel beyond the border.

    Args:
        images: float32 [n, 224, 224, 3].
        maps: float32 [n, 8], rows of `maps_of`.

    Returns:
        float32 [n, 224, 224, 3], in the range of the input.
    """
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=maps,
        output_shape=tf.constant([MODEL_SIDE, MODEL_SIDE], tf.int32),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )


def maps_of(plan: Plan) -> Maps:
    """Return every row's map from a pixel of the result to a point of the original.

    Returns:
        float32 [n, 8], rows (a0, a1, a2, b0, b1, b2, 0, 0): the result's pixel (x, y) shows the
        original at (a0 x + a1 y + a2, b0 x + b1 y + b2). Originals get the identity.
    """
    maps = np.tile(np.array(_IDENTITY, np.float32), (len(plan), 1))
    for row in np.flatnonzero(plan.replica):
        maps[row] = map_of(int(plan.seed[row]))
    return maps


def map_of(seed: int) -> Maps:
    """Draw one row's map from its seed.

    Args:
        seed: the row's seed, 0 to 2**63.

    Returns:
        float32 [8], as a row of `maps_of`.
    """
    draw = np.random.Generator(np.random.Philox(key=seed))
    angle = np.deg2rad(draw.uniform(-ROTATION_DEGREES, ROTATION_DEGREES))
    shift_x, shift_y = draw.uniform(-SHIFT, SHIFT, 2) * MODEL_SIDE
    zoom_x, zoom_y = draw.uniform(1 - ZOOM, 1 + ZOOM, 2)
    flip_x, flip_y = draw.integers(0, 2, 2) * 2 - 1
    cosine, sine = np.cos(angle), np.sin(angle)
    a0, a1 = cosine * zoom_x * flip_x, -sine * zoom_y * flip_y
    b0, b1 = sine * zoom_x * flip_x, cosine * zoom_y * flip_y
    # Rotate and zoom about the image's centre, then shift.
    a2 = _CENTRE - (a0 + a1) * _CENTRE + shift_x
    b2 = _CENTRE - (b0 + b1) * _CENTRE + shift_y
    return np.array([a0, a1, a2, b0, b1, b2, 0, 0], np.float32)
