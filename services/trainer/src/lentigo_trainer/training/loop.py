"""What both ways to train share: epochs that resume, examples, metrics and the checkpoint.

`head.train_head` and `fine_tuning.fine_tune` each define one epoch; `run_epochs` runs those that
are not finished yet and saves the state after each. A checkpoint holds all variables, those of the
optimiser included, and the metrics of every epoch so far. A run that was killed resumes after the
last finished epoch, with the same result.
"""

import io
import json
import math
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_trainer.data.extra.training_images import ExtraImages
from lentigo_trainer.errors import DamagedCacheError, DivergedError
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import write_whole
from lentigo_trainer.training.work_folder import EpochMetrics
from lentigo_trainer.training.workers import ALONE, Workers

Labels = npt.NDArray[np.int64]

Step = Callable[..., tuple[tf.Tensor, tf.Tensor]]
"""One update of the weights: from a batch, or a worker's part of it, see `Workers.over_batch`, to
the mean loss and the accuracy of the whole batch."""

_EVALUATION_BATCH: Final = 64


class FeatureRows(Protocol):
    """Rows of features or images, read by row number."""

    def take(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.floating[Any]]:
        """Return a copy of some rows: [len(rows), ...], always of the same type."""
        ...


@dataclass(frozen=True, slots=True)
class Examples:
    """What a network is trained or evaluated on.

    Attributes:
        features: the output of the frozen backbone for every row; its image if nothing is frozen.
        labels: int64 [n], indices into `labels.CODES`.
        extra: images of imported sets to train with besides; only `fine_tuning` can.
        teacher: a teacher's logits, float32 [n, 7], if there is one; only `fine_tuning` can use it.
    """

    features: FeatureRows
    labels: Labels
    extra: ExtraImages | None = None
    teacher: npt.NDArray[np.float32] | None = None


def run_epochs(
    last: int,
    state: Sequence[keras.Variable],
    epoch: Callable[[int], EpochMetrics],
    checkpoint: Path,
    progress: Progress,
    finished: Callable[[EpochMetrics], None] | None = None,
    workers: Workers = ALONE,
) -> tuple[EpochMetrics, ...]:
    """Run the epochs that are not finished yet, and save the state after each.

    Args:
        last: number of the last epoch; the first is 1.
        state: all variables that one epoch passes on to the next.
        epoch: runs the epoch of a number; a pure function of the number and the state.
        checkpoint: file with the state after the last finished epoch.
        progress: shows the metrics of each epoch.
        finished: called after every epoch of this run, once its state is on disk.
        workers: all run the same epochs; only the chief reads and writes the checkpoint.

    Returns:
        The metrics of every epoch, including those of earlier runs.

    Raises:
        DivergedError: a loss is not finite; the last finished epoch is kept.
        DamagedCacheError: the checkpoint cannot be read.
        StorageError: the disk is full or not writable; the last finished epoch is kept.
    """
    history = load_checkpoint(checkpoint, state, workers)
    if history:
        progress.say(f"Resuming after epoch {history[-1].epoch} of {last}")
    for number in range(len(history) + 1, last + 1):
        metrics = epoch(number)
        if not math.isfinite(metrics.validation_loss):
            where = f"Epoch {number} of {last}, after its last batch"
            raise _diverged(where, "validation loss", metrics.validation_loss)
        history = (*history, metrics)
        if workers.chief:
            save_checkpoint(checkpoint, state, history)
        if finished is not None:
            finished(metrics)
        progress.say(metrics.line())
    return history


def train_epoch(
    batches: Iterable[tuple[tf.Tensor, ...]],
    step: Step,
    rows: int,
    batch_size: int,
    title: str,
    progress: Progress,
) -> tuple[float, float]:
    """Make a step with every batch; return the mean loss and the accuracy.

    Args:
        batches: what `step` takes.
        step: updates the weights from a batch.
        rows: number of rows in all batches together.
        batch_size: rows in every batch but the last, which may have fewer.
        title: what the progress display calls the pass, such as "Epoch 3 of 25".
        progress: shows the number of finished rows, and the loss.

    Raises:
        DivergedError: the loss of a batch is not finite.
    """
    total_loss, hits, seen = 0.0, 0, 0
    with progress.track(title, total=rows, unit="rows") as shown:
        for number, batch in enumerate(batches, 1):
            batch_loss, accuracy = step(*batch)
            loss = float(batch_loss)
            if not math.isfinite(loss):
                raise _diverged(f"{title}, batch {number}", "loss", loss)
            size = min(batch_size, rows - seen)
            total_loss += loss * size
            hits += round(float(accuracy) * size)
            seen += size
            shown.advance(size)
            shown.note(f"loss {total_loss / seen:.4f}")
    return total_loss / rows, hits / rows


def _diverged(where: str, name: str, value: float) -> DivergedError:
    # The same command would do the same again: an epoch is a function of its number and the state.
    return DivergedError(
        f"{where}: the {name} is {value}, so the training has diverged. The epochs before it are "
        "kept. Lower the learning rates in the recipe, and train into another --work."
    )


def reseed_dropout(network: keras.Model, seed: int, number: int) -> None:
    """Make an epoch's dropout a function of the seed and the epoch's number."""
    dropouts = [layer for layer in network.layers if isinstance(layer, keras.layers.Dropout)]
    for place, layer in enumerate(dropouts):
        layer.seed_generator.state.assign([(seed + place) % 2**32, number])


def logits_of(
    head: keras.Model, features: FeatureRows, rows: int, workers: Workers = ALONE
) -> npt.NDArray[np.float32]:
    """Return the logits of the first rows of some features, without dropout: float32 [rows, 7].

    Each worker computes its rows, and all return the logits of all; so all have to call it.
    """
    run = tf.function(lambda batch: head(tf.cast(batch, tf.float32), training=False))
    own = workers.own(np.arange(rows))
    logits = np.zeros((rows, *head.output_shape[1:]), np.float32)
    for start in range(0, len(own), _EVALUATION_BATCH):
        block = own[start : start + _EVALUATION_BATCH]
        logits[block] = run(features.take(block)).numpy()
    return workers.sum(logits)


def cross_entropy(logits: npt.NDArray[np.float32], labels: Labels) -> float:
    """Return the mean cross-entropy of logits [n, 7], in nats."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    return float(np.mean(log_sum - shifted[np.arange(len(labels)), labels]))


def finished_epochs(checkpoint: Path) -> tuple[EpochMetrics, ...]:
    """Return the metrics of the epochs in a checkpoint; none if there is no checkpoint.

    Raises:
        DamagedCacheError: the checkpoint cannot be read.
    """
    with _opened(checkpoint, _content(checkpoint)) as arrays:
        return () if arrays is None else _history_in(arrays)


def save_checkpoint(
    checkpoint: Path,
    state: Sequence[keras.Variable],
    history: tuple[EpochMetrics, ...],
) -> None:
    """Write the state after the last epoch of `history` to disk, atomically.

    Args:
        checkpoint: the file.
        state: the variables of network and optimiser, always in the same order.
        history: the metrics of every epoch so far.

    Raises:
        StorageError: the disk is full or not writable; the previous state is kept.
    """
    values = {f"v{n}": variable.numpy() for n, variable in enumerate(state)}
    epochs = np.frombuffer(json.dumps([epoch.row() for epoch in history]).encode(), np.uint8)

    def write(file: BinaryIO) -> None:
        np.savez(file, history=epochs, **values)

    write_whole(checkpoint, write)


def load_checkpoint(
    checkpoint: Path, state: Sequence[keras.Variable], workers: Workers = ALONE
) -> tuple[EpochMetrics, ...]:
    """Load a checkpoint, if there is one, into the variables; return the metrics of its epochs.

    Args:
        checkpoint: the chief's file.
        state: the variables of network and optimiser, in the order of `save_checkpoint`.
        workers: all load what the chief has.

    Raises:
        DamagedCacheError: the checkpoint cannot be read, or belongs to another network.
    """
    content = workers.from_chief(_content(checkpoint) if workers.chief else None)
    with _opened(checkpoint, content) as arrays:
        if arrays is None:
            return ()
        for number, variable in enumerate(state):
            variable.assign(arrays[f"v{number}"])
        return _history_in(arrays)


def _content(checkpoint: Path) -> bytes | None:
    try:
        return checkpoint.read_bytes()
    except FileNotFoundError:
        return None


@contextmanager
def _opened(
    checkpoint: Path, content: bytes | None
) -> Iterator[Mapping[str, npt.NDArray[Any]] | None]:
    if content is None:
        yield None
        return
    try:
        with np.load(io.BytesIO(content)) as arrays:
            yield arrays
    except (ValueError, TypeError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DamagedCacheError(
            f"The checkpoint {checkpoint} cannot be read. Delete it to train from the start."
        ) from error


def _history_in(arrays: Mapping[str, npt.NDArray[Any]]) -> tuple[EpochMetrics, ...]:
    return tuple(EpochMetrics(**epoch) for epoch in json.loads(arrays["history"].tobytes()))
