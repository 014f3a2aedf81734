"""The training loop: features in, a trained head out; a killed run resumes with the same result.

Everything random is a pure function of the seed and the epoch, so all there is to keep between two
epochs is the variables, the optimiser's and the history (`checkpoint`).

The frozen backbone, faster than Keras runs it: on LiteRT, or on TensorFlow compiled.

LiteRT runs float32 through XNNPACK, whose depthwise convolutions suit MobileNet and its
successors: docs/decisions/0004-frozen-backbone-on-litert.md. Plain convolutions are fastest on
TensorFlow, in bfloat16 if the processor has it:
docs/decisions/0018-plain-convolutions-in-bfloat16.md.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final, Protocol

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.errors import WeightsError
from lentigo_trainer.system.native_output import held_back
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.training.loop import (
    EpochMetrics,
    Labels,
    Step,
    cross_entropy,
    reseed_dropout,
    run_epochs,
    train_epoch,
)
from lentigo_trainer.training.precision import bfloat16_is_faster, in_bfloat16
from lentigo_trainer.training.schedules import Cooldown

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
        features: the frozen backbone's output for every row, or its image where nothing is frozen.
        labels: int64 [n], indices into `labels.CODES`.
    """

    features: FeatureRows
    labels: Labels


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
    """Train a head to the end of its recipe, from the last finished epoch on if there is one.

    Args:
        head: features -> logits [n, 7]; changed in place.
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
    optimizer.build(head.trainable_variables)
    step = _training_step(head, optimizer)
    rows = len(training.labels)

    def epoch(number: int) -> EpochMetrics:
        started = monotonic()
        reseed_dropout(head, seed, number)
        batches = _batches(training, recipe.batch_size, seed, number)
        title = f"Epoch {number} of {recipe.epochs}"
        loss, accuracy = train_epoch(batches, step, rows, title, progress)
        measured = logits_of(head, validation.features, len(validation.labels))
        return EpochMetrics(
            epoch=number,
            accuracy=accuracy,
            loss=loss,
            validation_accuracy=float(np.mean(measured.argmax(1) == validation.labels)),
            validation_loss=cross_entropy(measured, validation.labels),
            seconds=monotonic() - started,
        )

    state = [*head.variables, *optimizer.variables]
    return run_epochs(recipe.epochs, state, epoch, checkpoint, progress, finished)


def logits_of(head: keras.Model, features: FeatureRows, rows: int) -> npt.NDArray[np.float32]:
    """Run the head over the first rows of some features, without dropout: float32 [rows, 7]."""
    run = tf.function(lambda batch: head(tf.cast(batch, tf.float32), training=False))
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


BATCH: Final = 16

# Largest difference from Keras, relative to the largest feature. Runtimes in float32 round and sum
# in another order, which comes to some 1e-5; in bfloat16 VGG16 came to 3e-3.
TOLERANCE: Final = 1e-3
BFLOAT16_TOLERANCE: Final = 2e-2

Images = npt.NDArray[np.float32]
Features = npt.NDArray[np.float32]


class FrozenBackbone:
    """Runs a network's frozen part; for one thread at a time.

    Args:
        backbone: images [n, 224, 224, 3] -> features, without anything that learns.
        threads: how many cores LiteRT uses; TensorFlow has settings of its own.
        plain: whether to run on TensorFlow, and in bfloat16 where that pays, rather than on LiteRT
            in float32.

    Attributes:
        shape: of one row's features.
        digest: SHA-256 over the backbone's layers and values, hex; and the arithmetic, if it is not
            float32.

    Raises:
        WeightsError: the backbone gives other numbers here than in Keras.
    """

    def __init__(self, backbone: keras.Model, threads: int, plain: bool = False) -> None:
        self.shape: tuple[int, ...] = tuple(backbone.output_shape[1:])
        bfloat16 = plain and bfloat16_is_faster()
        self.digest = backbone_digest(backbone) + (" in bfloat16" if bfloat16 else "")
        self._run = _on_tensorflow(backbone) if plain else _OnLiteRT(backbone, threads)
        self._require_agreement(backbone, BFLOAT16_TOLERANCE if bfloat16 else TOLERANCE)

    def __call__(self, images: Images) -> Features:
        """Compute features.

        Args:
            images: float32 [n, 224, 224, 3] in 0 to 255; quickest with n = `BATCH`.

        Returns:
            float32 [n, *shape].
        """
        return self._run(images)

    def _require_agreement(self, backbone: keras.Model, tolerance: float) -> None:
        noise = np.random.default_rng(0).uniform(0, 255, (BATCH, *backbone.input_shape[1:]))
        images = noise.astype(np.float32)
        expected = np.asarray(backbone(images, training=False))
        difference = float(np.max(np.abs(self(images) - expected)))
        if not difference <= tolerance * float(np.max(np.abs(expected))):
            raise WeightsError(
                f"The frozen layers give other numbers in the fast pass than in Keras (off by "
                f"{difference}). Check the weights; if they are sound, report this as a bug."
            )


def _on_tensorflow(backbone: keras.Model) -> Callable[[Images], Features]:
    forward = tf.function(
        lambda images: backbone(images, training=False),
        input_signature=[tf.TensorSpec((None, *backbone.input_shape[1:]), tf.float32)],
    )

    def run(images: Images) -> Features:
        with in_bfloat16(True):
            features: Features = forward(images).numpy()
        return features

    return run


class _OnLiteRT:
    def __init__(self, backbone: keras.Model, threads: int) -> None:
        # The interpreter reads the model where it lies, so it has to stay.
        self._model = _converted(backbone)
        with held_back():
            self._interpreter = Interpreter(model_content=self._model, num_threads=threads)
            self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._rows = BATCH

    def __call__(self, images: Images) -> Features:
        if len(images) != self._rows:
            self._interpreter.resize_tensor_input(self._input, images.shape)
            self._interpreter.allocate_tensors()
            self._rows = len(images)
        self._interpreter.set_tensor(self._input, images)
        self._interpreter.invoke()
        features: Features = self._interpreter.get_tensor(self._output)
        return features


def _converted(backbone: keras.Model) -> bytes:
    forward = tf.function(
        lambda images: backbone(images, training=False),
        input_signature=[tf.TensorSpec((BATCH, *backbone.input_shape[1:]), tf.float32)],
    )
    # The converter finds values through a module that tracks them; a Keras model does not do, and
    # what comes out is silently without its weights.
    tracked = tf.Module()
    tracked.values = [variable.value for variable in backbone.variables]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [forward.get_concrete_function()], tracked
    )
    model: bytes = converter.convert()
    return model


def backbone_digest(backbone: keras.Model) -> str:
    """SHA-256 over a backbone's layers and values, hex."""
    total = hashlib.sha256()
    for layer in backbone.layers:
        total.update(layer.name.encode())
        for value in layer.get_weights():
            total.update(np.ascontiguousarray(value).tobytes())
    return total.hexdigest()
