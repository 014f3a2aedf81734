"""The training loop: features in, a trained tail out; a killed run resumes with the same result.

Everything random is a pure function of the seed and the epoch, so all there is to keep between two
epochs is the variables, the optimiser's and the history (`checkpoint`).

The frozen trunk, faster than Keras runs it: on LiteRT, or on TensorFlow compiled.

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
    learn_from,
    reseed_dropout,
    run_epochs,
)
from lentigo_trainer.training.precision import bfloat16_pays, in_bfloat16
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
        features: the frozen trunk's output for every row, or its picture where nothing is frozen.
        labels: int64 [n], indices into `labels.CODES`.
    """

    features: FeatureRows
    labels: Labels


def train_head(
    tail: keras.Model,
    training: Examples,
    validation: Examples,
    recipe: Recipe,
    seed: int,
    checkpoint: Path,
    progress: Progress,
    finished: Callable[[EpochMetrics], None] | None = None,
) -> tuple[EpochMetrics, ...]:
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

    def epoch(number: int) -> EpochMetrics:
        started = monotonic()
        reseed_dropout(tail, seed, number)
        batches = _batches(training, recipe.batch_size, seed, number)
        title = f"Epoch {number} of {recipe.epochs}"
        loss, accuracy = learn_from(batches, step, rows, title, progress)
        measured = logits_of(tail, validation.features, len(validation.labels))
        return EpochMetrics(
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


BATCH: Final = 16

# Largest difference from Keras, relative to the largest feature. Runtimes in float32 round and sum
# in another order, which comes to some 1e-5; in bfloat16 VGG16 came to 3e-3.
TOLERANCE: Final = 1e-3
BFLOAT16_TOLERANCE: Final = 2e-2

Pictures = npt.NDArray[np.float32]
Features = npt.NDArray[np.float32]


class FrozenBackbone:
    """Runs a network's frozen part; for one thread at a time.

    Args:
        trunk: pictures [n, 224, 224, 3] -> features, without anything that learns.
        threads: how many cores LiteRT uses; TensorFlow has settings of its own.
        plain: whether to run on TensorFlow, and in bfloat16 where that pays, rather than on LiteRT
            in float32.

    Attributes:
        shape: of one row's features.
        digest: SHA-256 over the trunk's layers and values, hex; and the arithmetic, if it is not
            float32.

    Raises:
        WeightsError: the trunk gives other numbers here than in Keras.
    """

    def __init__(self, trunk: keras.Model, threads: int, plain: bool = False) -> None:
        self.shape: tuple[int, ...] = tuple(trunk.output_shape[1:])
        bfloat16 = plain and bfloat16_pays()
        self.digest = backbone_digest(trunk) + (" in bfloat16" if bfloat16 else "")
        self._run = _on_tensorflow(trunk) if plain else _OnLiteRT(trunk, threads)
        self._require_agreement(trunk, BFLOAT16_TOLERANCE if bfloat16 else TOLERANCE)

    def __call__(self, pictures: Pictures) -> Features:
        """Compute features.

        Args:
            pictures: float32 [n, 224, 224, 3] in 0 to 255; quickest with n = `BATCH`.

        Returns:
            float32 [n, *shape].
        """
        return self._run(pictures)

    def _require_agreement(self, trunk: keras.Model, tolerance: float) -> None:
        noise = np.random.default_rng(0).uniform(0, 255, (BATCH, *trunk.input_shape[1:]))
        pictures = noise.astype(np.float32)
        expected = np.asarray(trunk(pictures, training=False))
        difference = float(np.max(np.abs(self(pictures) - expected)))
        if not difference <= tolerance * float(np.max(np.abs(expected))):
            raise WeightsError(
                f"The frozen layers give other numbers in the fast pass than in Keras (off by "
                f"{difference}). Check the weights; if they are sound, report this as a bug."
            )


def _on_tensorflow(trunk: keras.Model) -> Callable[[Pictures], Features]:
    forward = tf.function(
        lambda pictures: trunk(pictures, training=False),
        input_signature=[tf.TensorSpec((None, *trunk.input_shape[1:]), tf.float32)],
    )

    def run(pictures: Pictures) -> Features:
        with in_bfloat16(True):
            features: Features = forward(pictures).numpy()
        return features

    return run


class _OnLiteRT:
    def __init__(self, trunk: keras.Model, threads: int) -> None:
        # The interpreter reads the model where it lies, so it has to stay.
        self._model = _converted(trunk)
        with held_back():
            self._interpreter = Interpreter(model_content=self._model, num_threads=threads)
            self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._rows = BATCH

    def __call__(self, pictures: Pictures) -> Features:
        if len(pictures) != self._rows:
            self._interpreter.resize_tensor_input(self._input, pictures.shape)
            self._interpreter.allocate_tensors()
            self._rows = len(pictures)
        self._interpreter.set_tensor(self._input, pictures)
        self._interpreter.invoke()
        features: Features = self._interpreter.get_tensor(self._output)
        return features


def _converted(trunk: keras.Model) -> bytes:
    forward = tf.function(
        lambda pictures: trunk(pictures, training=False),
        input_signature=[tf.TensorSpec((BATCH, *trunk.input_shape[1:]), tf.float32)],
    )
    # The converter finds values through a module that tracks them; a Keras model does not do, and
    # what comes out is silently without its weights.
    tracked = tf.Module()
    tracked.values = [variable.value for variable in trunk.variables]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [forward.get_concrete_function()], tracked
    )
    model: bytes = converter.convert()
    return model


def backbone_digest(trunk: keras.Model) -> str:
    """SHA-256 over a trunk's layers and values, hex."""
    total = hashlib.sha256()
    for layer in trunk.layers:
        total.update(layer.name.encode())
        for value in layer.get_weights():
            total.update(np.ascontiguousarray(value).tobytes())
    return total.hexdigest()
