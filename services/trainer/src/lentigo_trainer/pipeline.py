"""A plan's rows as augmented pictures: streamed in their order, or taken by row number."""

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_trainer.augmentation import augment, maps_of
from lentigo_trainer.plan import Plan


def pictures(
    images: npt.NDArray[np.uint8], plan: Plan, batch_size: int, first_row: int = 0
) -> tf.data.Dataset:
    """Stream a plan's pictures in the order of its rows.

    Batches that hold originals alone are passed through untouched.

    Args:
        images: uint8 [m, 224, 224, 3], the prepared array the plan's `source` numbers.
        plan: which picture stands in which row, and how it is augmented.
        batch_size: rows a batch; the last one may be shorter.
        first_row: where to start, so that an interrupted pass goes on.

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


class AugmentedPictures:
    """A plan's pictures by row number, drawn anew each time they are asked for.

    A row always gives the same picture, so they could be kept, but all of HAM10000 would take
    5.8 GB on disk, and be read from there in another order every epoch.

    Args:
        images: uint8 [m, 224, 224, 3], the prepared array the plan's `source` numbers.
        plan: which picture stands in which row, and how it is augmented.
    """

    def __init__(self, images: npt.NDArray[np.uint8], plan: Plan) -> None:
        self._images = images
        self._plan = plan
        self._maps = maps_of(plan)

    def take(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Draw some rows: float32 [len(rows), 224, 224, 3] in 0 to 255."""
        originals = self._images[self._plan.source[rows]].astype(np.float32)
        if not self._plan.replica[rows].any():
            return originals
        drawn: npt.NDArray[np.float32] = augment(originals, self._maps[rows]).numpy()
        return drawn
