"""Layers that see the whole batch, even where several workers share it.

A worker that takes its part of a batch must compute what it would compute with all of it: batch
normalisation takes the statistics of all rows (Ioffe and Szegedy, 2015; "synchronised" in Keras),
and dropout drops from each row what it would drop in the whole batch.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

import keras
import tensorflow as tf


@dataclass(frozen=True, slots=True)
class BatchPart:
    """Which rows of a batch this worker has.

    Attributes:
        places: of its rows in the whole batch, int64 [m].
        size: number of rows in the whole batch, int64 scalar.
        counted: m, or 0 if the worker has no row of the batch and borrows one that does not count:
            convolutions of no row at all fail. int64 scalar.
    """

    places: tf.Tensor
    size: tf.Tensor
    counted: tf.Tensor


_part: Final[ContextVar[BatchPart | None]] = ContextVar("part", default=None)


@contextmanager
def part_of_batch(part: BatchPart) -> Iterator[None]:
    """Tell the layers that are called in this block which rows of the batch they get."""
    token = _part.set(part)
    try:
        yield
    finally:
        _part.reset(token)


def is_part() -> bool:
    """Return whether layers get a part of a batch, so that others have the rest."""
    return _part.get() is not None


def moments_of_whole_batch(
    inputs: tf.Tensor, shift: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return mean and variance of each channel over the rows of all workers.

    Args:
        inputs: this worker's rows, float32 [m, h, w, c].
        shift: a value near each mean, [c], the same on all workers; sums of squares around it
            lose no digits to a large mean.

    Returns:
        The mean [c], the variance [c], and the number of values they were taken from.
    """
    shifted = inputs - shift
    sums = tf.reduce_sum(shifted, axis=(0, 1, 2))
    squares = tf.reduce_sum(tf.square(shifted), axis=(0, 1, 2))
    count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:3]), tf.float32)
    part = _part.get()
    counts = 1.0 if part is None else tf.cast(part.counted > 0, tf.float32)
    mine = counts * tf.concat([sums, squares, count[None]], 0)
    total = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, mine)
    channels = inputs.shape[-1]
    sums, squares, count = total[:channels], total[channels:-1], total[-1]
    offset = sums / count
    return offset + shift, tf.maximum(squares / count - tf.square(offset), 0.0), count


@keras.saving.register_keras_serializable(package="lentigo")
class WholeBatchDropout(keras.layers.Dropout):  # type: ignore[misc] # untyped
    """`Dropout` that drops the same from a row, however many workers share the batch."""

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Drop.

        Args:
            inputs: [n, ...].
            training: whether to drop at all.
        """
        part = _part.get()
        if not training or part is None:
            return super().call(inputs, training=training)
        whole = tf.ones(tf.concat([[tf.cast(part.size, tf.int32)], tf.shape(inputs)[1:]], 0))
        noise = super().call(whole, training=True)
        return inputs * tf.ensure_shape(tf.gather(noise, part.places), inputs.shape)
