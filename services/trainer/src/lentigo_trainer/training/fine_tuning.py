"""The training loop of a network that learns as a whole; a killed run resumes with the same result.

What an epoch shows, how it is varied and what dropout drops are pure functions of the seed and the
epoch. What is measured behind each epoch is the weights' moving average; that, or its
mean over the rounds, is what the network holds in the end.
"""

from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_contract.labels import CODES
from lentigo_trainer.config.recipe import FineTuning, Recipe
from lentigo_trainer.data.random_augmentation import (
    DrawnAugmentations,
    augment,
    class_shares,
    draw_augmentations,
    draw_weights,
    epoch_rows,
    mix,
)
from lentigo_trainer.errors import RecipeError
from lentigo_trainer.metrics.classification import balanced_accuracy
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.training.frozen_backbone import Examples, FeatureRows, logits_of
from lentigo_trainer.training.loop import (
    EpochMetrics,
    Step,
    cross_entropy,
    reseed_dropout,
    run_epochs,
    train_epoch,
)
from lentigo_trainer.training.losses import Loss, adjusted_cross_entropy, restore_frequencies
from lentigo_trainer.training.precision import in_bfloat16
from lentigo_trainer.training.schedules import WarmRestarts, WarmupCosine
from lentigo_trainer.training.weight_averaging import WeightAverage, moving_average, uniform_mean

_HEAD: Final = ("hidden_", "logits")
"""How the names of the head's layers begin."""

_NOT_DECAYED: Final = ("bias", "gamma", "beta")


def fine_tune(
    network: keras.Model,
    training: Examples,
    watched: Examples,
    recipe: Recipe,
    seed: int,
    checkpoint: Path,
    progress: Progress,
    finished: Callable[[EpochMetrics], None] | None = None,
) -> tuple[EpochMetrics, ...]:
    """Train a whole network, from the last finished epoch on if there is one.

    Args:
        network: images [n, 224, 224, 3] -> logits [n, 7]; changed in place. It is left with the
            average of its weights, and with the classes' frequencies in its biases as the recipe
            has it.
        training: original images that are learnt from.
        watched: images that are measured after every epoch, in the size that it learnt from, and
            never learnt from.
        recipe: epochs, batch size and how the whole network learns.
        seed: of what is drawn, of variation and dropout.
        checkpoint: file that holds the state after the last finished epoch.
        progress: told how many rows are done, and the loss.
        finished: called after every epoch of this run, once its state is on disk.

    Returns:
        Every epoch, those of earlier runs included. The training loss is the adjusted one.

    Raises:
        RecipeError: the recipe does not say how a whole network learns.
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
    # How many are drawn depends on the shares alone, so it is the same in every epoch.
    steps = max(1, len(epoch_rows(labels, shares, count, seed)) // batch_size)
    optimizers = _optimizers(network, settings, steps, epochs)
    average = WeightAverage(network.weights, moving_average(settings.ema_decay))
    rounds = WeightAverage(network.weights, uniform_mean)
    ends = {*(restart.after_epoch for restart in settings.restarts), epochs}
    step_at: dict[int, Step] = {}

    def epoch(number: int) -> EpochMetrics:
        started = monotonic()
        reseed_dropout(network, seed, number)
        side = settings.side_of(number)
        if side not in step_at:
            step_at[side] = _training_step(at_side(network, side), optimizers, average, loss)
        seeds = np.random.SeedSequence([seed, number]).generate_state(3, np.uint64)
        of_rows, of_images, of_mixing = map(int, seeds)
        drawn = epoch_rows(labels, shares, count, of_rows)[: steps * batch_size]
        variations = draw_augmentations(
            settings.augmentation_of(number), len(drawn), side, of_images
        )
        weights = draw_weights(settings.mixup_of(number), len(drawn), of_mixing)
        trained, accuracy = train_epoch(
            _batches(training, drawn, variations, weights, side, batch_size),
            step_at[side],
            len(drawn),
            f"Epoch {number} of {epochs} at {side} pixels",
            progress,
        )
        with average.used():
            seen = ResizedRows(watched.features, side)
            measured = logits_of(at_side(network, side), seen, len(watched.labels))
            if number in ends:
                rounds.follow()
        return EpochMetrics(
            epoch=number,
            accuracy=accuracy,
            loss=trained,
            validation_accuracy=float(np.mean(measured.argmax(1) == watched.labels)),
            validation_loss=cross_entropy(measured, watched.labels),
            seconds=monotonic() - started,
            validation_balanced_accuracy=balanced_accuracy(
                watched.labels, tf.nn.softmax(measured).numpy()
            ),
        )

    state = [
        *network.variables,
        *(variable for optimizer in optimizers for variable in optimizer.variables),
        *average.variables,
        *(rounds.variables if settings.average_cycles else ()),
    ]
    with in_bfloat16(settings.bfloat16):
        history = run_epochs(epochs, state, epoch, checkpoint, progress, finished)
    (rounds if settings.average_cycles else average).use()
    restore_frequencies(
        network.get_layer("logits"), class_shares(labels, 1), settings.frequency_power
    )
    return history


class ResizedRows:
    """Images in another size, for a network that has only learnt from that size so far.

    Args:
        images: float32 [n, 224, 224, 3].
        side: in pixels.
    """

    def __init__(self, images: FeatureRows, side: int) -> None:
        self._pictures = images
        self._side = side

    def take(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.floating]:
        """Give some rows: float32 [len(rows), side, side, 3]."""
        taken = self._pictures.take(rows)
        if taken.shape[1] == self._side:
            return taken
        resized: npt.NDArray[np.float32] = tf.image.resize(taken, (self._side, self._side)).numpy()
        return resized


def at_side(network: keras.Model, side: int) -> keras.Model:
    """Give a network for images of another side; it shares all layers and weights.

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
    """Make one optimiser for the base and one, with its own rate, for the head."""
    made = []
    for rate, variables in zip(
        (settings.backbone_learning_rate, settings.head_learning_rate),
        _halves(network),
        strict=True,
    ):
        optimizer = keras.optimizers.AdamW(
            _rates(rate, settings, steps, epochs), weight_decay=settings.weight_decay
        )
        optimizer.exclude_from_weight_decay(var_names=list(_NOT_DECAYED))
        optimizer.build(variables)
        made.append(optimizer)
    base, head = made
    return base, head


def _rates(rate: float, settings: FineTuning, steps: int, epochs: int) -> WarmRestarts:
    restarts = [restart for restart in settings.restarts if restart.after_epoch < epochs]
    begins = [0, *(restart.after_epoch for restart in restarts)]
    lengths = [end - begin for begin, end in zip(begins, [*begins[1:], epochs], strict=True)]
    warm_up = round(min(settings.warm_up_epochs, lengths[0]) * steps)
    later = [
        (restart.after_epoch * steps, WarmupCosine(restart.rate * rate, length * steps, 0))
        for restart, length in zip(restarts, lengths[1:], strict=True)
    ]
    return WarmRestarts(WarmupCosine(rate, lengths[0] * steps, warm_up), later)


def _halves(network: keras.Model) -> tuple[list[keras.Variable], list[keras.Variable]]:
    base: list[keras.Variable] = []
    head: list[keras.Variable] = []
    for layer in network.layers:
        half = head if layer.name.startswith(_HEAD) else base
        half.extend(layer.trainable_variables)
    return base, head


def _training_step(
    network: keras.Model,
    optimizers: tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer],
    average: WeightAverage,
    loss_of: Loss,
) -> Step:
    base, head = _halves(network)

    def step(images: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            logits = network(images, training=True)
            loss = loss_of(targets, logits)
        gradients = tape.gradient(loss, [*base, *head])
        for optimizer, half, variables in zip(
            optimizers, (gradients[: len(base)], gradients[len(base) :]), (base, head), strict=True
        ):
            optimizer.apply_gradients(zip(half, variables, strict=True))
        average.follow()
        right = tf.argmax(logits, 1) == tf.argmax(targets, 1)
        hits = tf.reduce_sum(tf.cast(right, tf.int32))
        return loss, hits

    compiled: Step = tf.function(step)
    return compiled


def _batches(
    training: Examples,
    drawn: npt.NDArray[np.int64],
    variations: DrawnAugmentations,
    weights: npt.NDArray[np.float32],
    side: int,
    batch_size: int,
) -> tf.data.Dataset:
    def read(
        rows: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor, *columns: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        images = tf.numpy_function(training.features.take, [rows], tf.float32, stateful=False)
        images.set_shape((None, MODEL_SIDE, MODEL_SIDE, 3))
        shown = augment(images, DrawnAugmentations(*columns), side)
        return mix(shown, tf.one_hot(labels, len(CODES)), weights)

    columns = (
        drawn,
        training.labels[drawn],
        weights,
        variations.maps,
        variations.colours,
        variations.contrast,
        variations.brightness,
        variations.sharpness,
    )
    return (
        tf.data.Dataset.from_tensor_slices(columns)
        .batch(min(batch_size, len(drawn)), drop_remainder=True)
        .map(read)
        .prefetch(3)
    )
