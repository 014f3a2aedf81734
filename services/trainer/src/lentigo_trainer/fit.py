"""The training loop: features in, a trained tail out; a killed run resumes with the same result.

Everything random is a pure function of the seed and the epoch, so all there is to keep between two
epochs is the variables, the optimiser's and the history (`checkpoint`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final, Protocol

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.cooldown import Cooldown
from lentigo_trainer.epochs import (
    Labels,
    Step,
    cross_entropy,
    learn_from,
    reseed_dropout,
    run_epochs,
)
from lentigo_trainer.history import EpochFigures
from lentigo_trainer.system.progress import Progress

_EVALUATION_BATCH: Final = 64


class FeatureRows(Protocol):
    """Rows of features, read by number."""

    def take(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.floating[Any]]:
        """Copy some rows out: [len(rows), ...], always of the same type."""
        ...


@dataclass(frozen=True, slots=True)
class Examples:
    """What a network learns from or is measured on.

    Attributes:
        features: the frozen trunk's output for every row, or its picture where nothing is frozen.
        labels: int64 [n], indices into `labels.CODES`.
    """

    features: FeatureRows
    labels: Labels


def fit(
    tail: keras.Model,
    training: Examples,
    validation: Examples,
    recipe: Recipe,
    seed: int,
    checkpoint: Path,
    progress: Progress,
    finished: Callable[[EpochFigures], None] | None = None,
) -> tuple[EpochFigures, ...]:
    """Train a tail to the end of its recipe, from the last finished epoch on if there is one.

    Args:
        tail: features -> logits [n, 7]; changed in place.
        training: rows of the plan.
        validation: rows that are measured after every epoch and never learnt from.
        recipe: epochs, batch size and optimiser.
        seed: of shuffling and dropout.
        checkpoint: file that holds the state after the last finished epoch.
        progress: told how many rows are done, and the loss.
        finished: called after every epoch of this run, once its state is on disk.

    Returns:
        Every epoch, those of earlier runs included.

    Raises:
        DamagedCacheError: the checkpoint cannot be read.
        StorageError: the disk is full or not writable; the last finished epoch is kept.
    """
    optimizer = _optimizer(recipe, len(training.labels))
    optimizer.build(tail.trainable_variables)
    step = _training_step(tail, optimizer)
    rows = len(training.labels)

    def epoch(number: int) -> EpochFigures:
        started = monotonic()
        reseed_dropout(tail, seed, number)
        batches = _batches(training, recipe.batch_size, seed, number)
        title = f"Epoch {number} of {recipe.epochs}"
        loss, accuracy = learn_from(batches, step, rows, title, progress)
        measured = logits_of(tail, validation.features, len(validation.labels))
        return EpochFigures(
            epoch=number,
            accuracy=accuracy,
            loss=loss,
            validation_accuracy=float(np.mean(measured.argmax(1) == validation.labels)),
            validation_loss=cross_entropy(measured, validation.labels),
            seconds=monotonic() - started,
        )

    state = [*tail.variables, *optimizer.variables]
    return run_epochs(recipe.epochs, state, epoch, checkpoint, progress, finished)


def logits_of(tail: keras.Model, features: FeatureRows, rows: int) -> npt.NDArray[np.float32]:
    """Run the tail over the first rows of some features, without dropout: float32 [rows, 7]."""
    run = tf.function(lambda batch: tail(tf.cast(batch, tf.float32), training=False))
    blocks = [
        run(features.take(np.arange(start, min(start + _EVALUATION_BATCH, rows)))).numpy()
        for start in range(0, rows, _EVALUATION_BATCH)
    ]
    return np.concatenate(blocks)


def _optimizer(recipe: Recipe, rows: int) -> keras.optimizers.Optimizer:
    steps = -(-rows // recipe.batch_size)
    chosen = recipe.optimizer
    cooldown = min(chosen.cooldown_epochs, recipe.epochs)
    rate = Cooldown(chosen.learning_rate, steps * recipe.epochs, steps * cooldown)
    return keras.optimizers.SGD(rate, momentum=chosen.momentum, nesterov=True)


def _training_step(tail: keras.Model, optimizer: keras.optimizers.Optimizer) -> Step:
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    variables = tail.trainable_variables

    def step(features: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            logits = tail(tf.cast(features, tf.float32), training=True)
            loss = cross_entropy(labels, logits)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        hits = tf.reduce_sum(tf.cast(tf.argmax(logits, 1) == labels, tf.int32))
        return loss, hits

    compiled: Step = tf.function(step, reduce_retracing=True)
    return compiled


def _batches(training: Examples, batch_size: int, seed: int, number: int) -> tf.data.Dataset:
    order = np.random.default_rng([seed, number]).permutation(len(training.labels))

    taken = training.features.take(np.arange(1))
    kind = tf.as_dtype(taken.dtype)

    def read(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        features = tf.numpy_function(training.features.take, [rows], kind, stateful=False)
        return features, tf.gather(training.labels, rows)

    return (
        tf.data.Dataset.from_tensor_slices(order)
        .batch(batch_size)
        .map(read)
        .map(lambda features, labels: (tf.ensure_shape(features, (None, *taken.shape[1:])), labels))
        .prefetch(4)
    )
