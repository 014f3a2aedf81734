"""Training of all layers of a network, from the original images with random augmentation.

`fit.train_network` calls `fine_tune` for every recipe with a table `fine_tuning`. The images of an
epoch, their augmentation and dropout are pure functions of the seed and the epoch, so a killed run
resumes with the same result. After each epoch the moving average of the weights is evaluated, and
the network ends with it.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Final, Protocol

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_trainer.config.fine_tuning import FineTuning
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.data.random_augmentation import (
    ASPECT,
    draw_augmentations,
    draw_weights,
)
from lentigo_trainer.data.sampling import class_shares, epoch_rows
from lentigo_trainer.errors import RecipeError
from lentigo_trainer.metrics.classification import balanced_accuracy
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.training.fine_tuning.distillation import one_hot, training_targets
from lentigo_trainer.training.fine_tuning.extra_examples import ExtraSampling, JoinedRows
from lentigo_trainer.training.fine_tuning.image_batches import DrawnImages, batches_of
from lentigo_trainer.training.loop import (
    Examples,
    FeatureRows,
    Step,
    cross_entropy,
    logits_of,
    reseed_dropout,
    run_epochs,
    train_epoch,
)
from lentigo_trainer.training.optimization.losses import Loss, adjusted_cross_entropy, label_of
from lentigo_trainer.training.optimization.schedules import WarmupCosine
from lentigo_trainer.training.optimization.weight_averaging import MovingAverage
from lentigo_trainer.training.precision import in_bfloat16
from lentigo_trainer.training.work_folder import EpochMetrics
from lentigo_trainer.training.workers import ALONE, Gradients, Workers

_HEAD: Final = ("hidden_", "logits")
"""Prefixes of the names of the head's layers."""

_NOT_DECAYED: Final = ("bias", "gamma", "beta")


class Constraint(Protocol):
    """What must hold of the weights after every step, such as that pruned ones are 0."""

    @property
    def variables(self) -> Sequence[keras.Variable]:
        """Its state, for the checkpoint; none if it has none."""

    def apply(self) -> None:
        """Change the weights so that it holds; becomes a part of the compiled step."""


def fine_tune(  # noqa: PLR0913, PLR0917 - what to train, and who trains it
    network: keras.Model,
    training: Examples,
    validation: Examples,
    recipe: Recipe,
    seed: int,
    checkpoint: Path,
    progress: Progress,
    finished: Callable[[EpochMetrics], None] | None = None,
    workers: Workers = ALONE,
    constraint: Constraint | None = None,
) -> tuple[EpochMetrics, ...]:
    """Train all layers to the end of a recipe, from the last finished epoch on.

    Args:
        network: images [n, 224, 224, 3] -> logits [n, 7]; changed in place. It ends with the
            moving average of its weights.
        training: original images to train on, and those of imported sets if there are any.
        validation: images to evaluate after every epoch, in the size of that epoch; never trained
            on.
        recipe: epochs, batch size and a table `fine_tuning`.
        seed: of the images of an epoch, their augmentation and dropout.
        checkpoint: file with the state after the last finished epoch.
        progress: shows the number of finished rows, and the loss.
        finished: called after every epoch of this run, once its state is on disk.
        workers: those who share every batch; all call this with the same arguments.
        constraint: holds after every step. The moving average is taken over weights for which it
            held, so it may hold for the average itself only if it did not change on the way.

    Returns:
        The metrics of every epoch, including those of earlier runs. The training loss is the
        adjusted one.

    Raises:
        RecipeError: the recipe has no table `fine_tuning`.
        ClusterError: more workers than a batch can be divided among.
        DivergedError: a loss is not finite; the last finished epoch is kept.
        DamagedCacheError: the checkpoint cannot be read.
        StorageError: the disk is full or not writable; the last finished epoch is kept.
    """
    settings, epochs, batch_size = recipe.fine_tuning, recipe.epochs, recipe.batch_size
    if settings is None:
        raise RecipeError("The recipe has no table fine_tuning. Add one, or use `train_head`.")
    labels = training.labels
    shares = class_shares(labels, settings.class_power)
    loss = adjusted_cross_entropy(shares, settings.logit_adjustment, settings.label_smoothing)
    count = min(settings.images_per_epoch, len(labels))
    extra = None
    if training.extra is not None:
        extra = ExtraSampling.of(len(labels), training.extra, settings)
        loss = extra.loss(shares, settings)

    features = training.features
    targets = training_targets(labels, training.teacher, shares, settings)
    if extra is not None:
        features = JoinedRows(features, extra.extra, extra.first)
        targets = np.concatenate([targets, one_hot(extra.extra.labels)])

    def draw_rows(row_seed: int) -> npt.NDArray[np.int64]:
        drawn = epoch_rows(labels, shares, count, row_seed)
        return extra.add_to(drawn, row_seed) if extra else drawn

    # The number of drawn images depends only on the shares, so it is the same in every epoch.
    steps = max(1, len(draw_rows(seed)) // batch_size)
    optimizers = _optimizers(network, settings, steps, epochs)
    average = MovingAverage(network.weights, settings.ema_decay)
    step_at: dict[int, Step] = {}

    def epoch(number: int) -> EpochMetrics:
        started = monotonic()
        reseed_dropout(network, seed, number)
        side = settings.side_of(number)
        if side not in step_at:
            step_at[side] = _training_step(
                at_side(network, side), optimizers, average, loss, workers, constraint
            )
        seeds = np.random.SeedSequence([seed, number]).generate_state(3, np.uint64)
        row_seed, augmentation_seed, mixup_seed = map(int, seeds)
        drawn = draw_rows(row_seed)[: steps * batch_size]
        images = DrawnImages(
            drawn,
            targets[drawn],
            extra.spaces(drawn) if extra else None,
            draw_weights(settings.mixup, len(drawn), mixup_seed),
            draw_augmentations(
                settings.augmentation,
                len(drawn),
                side,
                augmentation_seed,
                extra.aspects(drawn) if extra else ASPECT,
            ),
        )
        training_loss, accuracy = train_epoch(
            batches_of(features, images, side, batch_size, workers),
            step_at[side],
            len(drawn),
            batch_size,
            f"Epoch {number} of {epochs} at {side} pixels",
            progress,
        )
        with average.applied():
            resized = ResizedRows(validation.features, side)
            evaluated = at_side(network, side)
            logits = logits_of(evaluated, resized, len(validation.labels), workers)
        return EpochMetrics(
            epoch=number,
            accuracy=accuracy,
            loss=training_loss,
            validation_accuracy=float(np.mean(logits.argmax(1) == validation.labels)),
            validation_loss=cross_entropy(logits, validation.labels),
            seconds=monotonic() - started,
            validation_balanced_accuracy=balanced_accuracy(
                validation.labels, tf.nn.softmax(logits).numpy()
            ),
        )

    state = [
        *network.variables,
        *(variable for optimizer in optimizers for variable in optimizer.variables),
        *(constraint.variables if constraint else ()),
        *average.variables,
    ]
    with in_bfloat16(settings.bfloat16):
        history = run_epochs(epochs, state, epoch, checkpoint, progress, finished, workers)
    average.apply()
    return history


class ResizedRows:
    """Images in another size, to evaluate a network at the size that it is being trained at.

    Args:
        images: float32 [n, 224, 224, 3].
        side: in pixels.
    """

    def __init__(self, images: FeatureRows, side: int) -> None:
        self._images = images
        self._side = side

    def take(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.floating]:
        """Return some rows: float32 [len(rows), side, side, 3]."""
        images = self._images.take(rows)
        if images.shape[1] == self._side:
            return images
        resized: npt.NDArray[np.float32] = tf.image.resize(images, (self._side, self._side)).numpy()
        return resized


def at_side(network: keras.Model, side: int) -> keras.Model:
    """Return a network for images of another size that shares all layers and weights.

    Args:
        network: fully convolutional up to its pooling.
        side: in pixels.
    """
    images = keras.Input((side, side, 3))
    return keras.models.clone_model(
        network, input_tensors=images, clone_function=lambda layer: layer
    )


def _optimizers(
    network: keras.Model, settings: FineTuning, steps: int, epochs: int
) -> tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer]:
    """Return one optimiser for the backbone and one, with its own rate, for the head."""
    warm_up = round(settings.warm_up_epochs * steps)
    optimizers = []
    for rate, variables in zip(
        (settings.backbone_learning_rate, settings.head_learning_rate),
        _parameter_groups(network),
        strict=True,
    ):
        optimizer = keras.optimizers.AdamW(
            WarmupCosine(rate, epochs * steps, warm_up), weight_decay=settings.weight_decay
        )
        optimizer.exclude_from_weight_decay(var_names=list(_NOT_DECAYED))
        optimizer.build(variables)
        optimizers.append(optimizer)
    backbone, head = optimizers
    return backbone, head


def _parameter_groups(network: keras.Model) -> tuple[list[keras.Variable], list[keras.Variable]]:
    backbone: list[keras.Variable] = []
    head: list[keras.Variable] = []
    for layer in network.layers:
        group = head if layer.name.startswith(_HEAD) else backbone
        group.extend(layer.trainable_variables)
    return backbone, head


def _training_step(
    network: keras.Model,
    optimizers: tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer],
    average: MovingAverage,
    loss_of: Loss,
    workers: Workers,
    constraint: Constraint | None,
) -> Step:
    backbone, head = _parameter_groups(network)

    def gradients_of(images: tf.Tensor, targets: tf.Tensor, share: tf.Tensor | float) -> Gradients:
        with tf.GradientTape() as tape:
            logits = network(images, training=True)
            loss = share * loss_of(targets, logits)
        correct = tf.argmax(logits, 1, tf.int32) == tf.cast(label_of(targets), tf.int32)
        accuracy = share * tf.reduce_mean(tf.cast(correct, tf.float32))
        return tape.gradient(loss, [*backbone, *head]), loss, accuracy

    of_whole_batch = workers.over_batch(gradients_of)

    def step(*batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        gradients, loss, accuracy = of_whole_batch(*batch)
        for optimizer, group, variables in zip(
            optimizers,
            (gradients[: len(backbone)], gradients[len(backbone) :]),
            (backbone, head),
            strict=True,
        ):
            optimizer.apply_gradients(zip(group, variables, strict=True))
        if constraint is not None:
            constraint.apply()
        average.update()
        return loss, accuracy

    compiled: Step = tf.function(step)
    return compiled
