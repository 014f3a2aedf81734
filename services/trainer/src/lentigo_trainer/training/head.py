"""Training of the layers after the frozen backbone, from features that were computed once.

`fit.train_network` calls `train_head` for every recipe without `fine_tuning`. Everything random is
a pure function of the seed and the epoch, so a killed run resumes with the same result.
"""

from collections.abc import Callable
from pathlib import Path
from time import monotonic

import keras
import numpy as np
import tensorflow as tf

from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.training.loop import (
    Examples,
    Step,
    cross_entropy,
    logits_of,
    reseed_dropout,
    run_epochs,
    train_epoch,
)
from lentigo_trainer.training.schedules import Cooldown
from lentigo_trainer.training.work_folder import EpochMetrics


def train_head(
    head: keras.Model,
    training: Examples,
    validation: Examples,
    recipe: Recipe,
    seed: int,
    checkpoint: Path,
    progress: Progress,
    finished: Callable[[EpochMetrics], None] | None = None,
) -> tuple[EpochMetrics, ...]:
    """Train to the end of a recipe, from the last finished epoch on.

    Args:
        head: features -> logits [n, 7]; changed in place.
        training: rows of the plan.
        validation: rows to evaluate after every epoch; never trained on.
        recipe: epochs, batch size and optimiser.
        seed: of shuffling and dropout.
        checkpoint: file with the state after the last finished epoch.
        progress: shows the number of finished rows, and the loss.
        finished: called after every epoch of this run, once its state is on disk.

    Returns:
        The metrics of every epoch, including those of earlier runs.

    Raises:
        DivergedError: a loss is not finite; the last finished epoch is kept.
        DamagedCacheError: the checkpoint cannot be read.
        StorageError: the disk is full or not writable; the last finished epoch is kept.
    """
    optimizer = _optimizer(recipe, len(training.labels))
    optimizer.build(head.trainable_variables)
    step = _training_step(head, optimizer)
    rows = len(training.labels)

    def epoch(number: int) -> EpochMetrics:
        started = monotonic()
        reseed_dropout(head, seed, number)
        batches = _batches(training, recipe.batch_size, seed, number)
        title = f"Epoch {number} of {recipe.epochs}"
        loss, accuracy = train_epoch(batches, step, rows, title, progress)
        logits = logits_of(head, validation.features, len(validation.labels))
        return EpochMetrics(
            epoch=number,
            accuracy=accuracy,
            loss=loss,
            validation_accuracy=float(np.mean(logits.argmax(1) == validation.labels)),
            validation_loss=cross_entropy(logits, validation.labels),
            seconds=monotonic() - started,
        )

    state = [*head.variables, *optimizer.variables]
    return run_epochs(recipe.epochs, state, epoch, checkpoint, progress, finished)


def _optimizer(recipe: Recipe, rows: int) -> keras.optimizers.Optimizer:
    steps = -(-rows // recipe.batch_size)
    optimizer = recipe.optimizer
    cooldown = min(optimizer.cooldown_epochs, recipe.epochs)
    rate = Cooldown(optimizer.learning_rate, steps * recipe.epochs, steps * cooldown)
    return keras.optimizers.SGD(rate, momentum=optimizer.momentum, nesterov=True)


def _training_step(head: keras.Model, optimizer: keras.optimizers.Optimizer) -> Step:
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    variables = head.trainable_variables

    def step(features: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            logits = head(tf.cast(features, tf.float32), training=True)
            loss = cross_entropy(labels, logits)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        hits = tf.reduce_sum(tf.cast(tf.argmax(logits, 1) == labels, tf.int32))
        return loss, hits

    compiled: Step = tf.function(step, reduce_retracing=True)
    return compiled


def _batches(training: Examples, batch_size: int, seed: int, number: int) -> tf.data.Dataset:
    order = np.random.default_rng([seed, number]).permutation(len(training.labels))
    first = training.features.take(np.arange(1))
    kind = tf.as_dtype(first.dtype)

    def read(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        features = tf.numpy_function(training.features.take, [rows], kind, stateful=False)
        return features, tf.gather(training.labels, rows)

    return (
        tf.data.Dataset.from_tensor_slices(order)
        .batch(batch_size)
        .map(read)
        .map(lambda features, labels: (tf.ensure_shape(features, (None, *first.shape[1:])), labels))
        .prefetch(4)
    )
