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
from lentigo_trainer.training.optimization.schedules import Cooldown
from lentigo_trainer.training.work_folder import EpochMetrics
from lentigo_trainer.training.workers import ALONE, Gradients, Workers


def train_head(  # noqa: PLR0913, PLR0917 - what to train, and who trains it
    head: keras.Model,
    training: Examples,
    validation: Examples,
    recipe: Recipe,
    seed: int,
    checkpoint: Path,
    progress: Progress,
    finished: Callable[[EpochMetrics], None] | None = None,
    workers: Workers = ALONE,
) -> tuple[EpochMetrics, ...]:
    """Train to the end of a recipe, from the last finished epoch on.

    Args:
        head: features -> logits [n, 7]; changed in place.
        training: rows of the plan; of several workers each reads only those of its number.
        validation: rows to evaluate after every epoch; never trained on.
        recipe: epochs, batch size and optimiser.
        seed: of shuffling and dropout.
        checkpoint: file with the state after the last finished epoch.
        progress: shows the number of finished rows, and the loss.
        finished: called after every epoch of this run, once its state is on disk.
        workers: those who share every batch; all call this with the same arguments.

    Returns:
        The metrics of every epoch, including those of earlier runs.

    Raises:
        DivergedError: a loss is not finite; the last finished epoch is kept.
        DamagedCacheError: the checkpoint cannot be read.
        StorageError: the disk is full or not writable; the last finished epoch is kept.
    """
    optimizer = _optimizer(recipe, len(training.labels))
    optimizer.build(head.trainable_variables)
    rows = len(training.labels)
    step = _training_step(head, optimizer, workers, _batches(training, recipe, seed, 1, workers))

    def epoch(number: int) -> EpochMetrics:
        started = monotonic()
        reseed_dropout(head, seed, number)
        batches = _batches(training, recipe, seed, number, workers)
        title = f"Epoch {number} of {recipe.epochs}"
        loss, accuracy = train_epoch(batches, step, rows, recipe.batch_size, title, progress)
        logits = logits_of(head, validation.features, len(validation.labels), workers)
        return EpochMetrics(
            epoch=number,
            accuracy=accuracy,
            loss=loss,
            validation_accuracy=float(np.mean(logits.argmax(1) == validation.labels)),
            validation_loss=cross_entropy(logits, validation.labels),
            seconds=monotonic() - started,
        )

    state = [*head.variables, *optimizer.variables]
    return run_epochs(recipe.epochs, state, epoch, checkpoint, progress, finished, workers)


def _optimizer(recipe: Recipe, rows: int) -> keras.optimizers.Optimizer:
    steps = -(-rows // recipe.batch_size)
    optimizer = recipe.optimizer
    cooldown = min(optimizer.cooldown_epochs, recipe.epochs)
    rate = Cooldown(optimizer.learning_rate, steps * recipe.epochs, steps * cooldown)
    return keras.optimizers.SGD(rate, momentum=optimizer.momentum, nesterov=True)


def _training_step(
    head: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    workers: Workers,
    batches: tf.data.Dataset,
) -> Step:
    variables = head.trainable_variables

    def gradients_of(features: tf.Tensor, labels: tf.Tensor, share: tf.Tensor | float) -> Gradients:
        with tf.GradientTape() as tape:
            logits = head(tf.cast(features, tf.float32), training=True)
            # Keras' class `SparseCategoricalCrossentropy` divides by the number of workers too.
            losses = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
            loss = share * tf.reduce_mean(losses)
        accuracy = share * tf.reduce_mean(tf.cast(tf.argmax(logits, 1) == labels, tf.float32))
        return tape.gradient(loss, variables), loss, accuracy

    of_whole_batch = workers.over_batch(gradients_of)

    def step(*batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        gradients, loss, accuracy = of_whole_batch(*batch)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss, accuracy

    if workers.count == 1:
        compiled: Step = tf.function(step, reduce_retracing=True)
    else:
        # Traced once on every worker, whatever the sizes of its parts: collective operations are
        # numbered as they are traced.
        compiled = tf.function(step, input_signature=batches.element_spec)
    return compiled


def _batches(
    training: Examples, recipe: Recipe, seed: int, number: int, workers: Workers
) -> tf.data.Dataset:
    order = np.random.default_rng([seed, number]).permutation(len(training.labels))
    first = training.features.take(np.full(1, workers.number))
    kind = tf.as_dtype(first.dtype)
    labels = tf.constant(training.labels)

    def read(rows: tf.Tensor) -> tuple[tf.Tensor, ...]:
        # Of every batch a worker has the rows of its number, which it keeps features of.
        places = tf.where(rows % workers.count == workers.number)[:, 0]
        counted = tf.size(places, tf.int64)
        own = tf.gather(rows, places)
        if workers.count > 1:
            # Where it has none, it borrows its first, which does not count.
            own = tf.cond(counted > 0, lambda: own, lambda: tf.fill([1], np.int64(workers.number)))
            places = tf.cond(counted > 0, lambda: places, lambda: tf.zeros([1], tf.int64))
        features = tf.numpy_function(training.features.take, [own], kind, stateful=False)
        batch = (tf.ensure_shape(features, (None, *first.shape[1:])), tf.gather(labels, own))
        if workers.count == 1:
            return batch
        return (*batch, places, tf.size(rows, tf.int64), counted)

    return tf.data.Dataset.from_tensor_slices(order).batch(recipe.batch_size).map(read).prefetch(4)
