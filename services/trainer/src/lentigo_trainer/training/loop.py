"""What every training loop does: epoch after epoch, kept on disk, from the last finished one on.

What each epoch of a training run came to.

The state between two epochs on disk: variables, the optimiser's, and every epoch's figures.

What each epoch came to, as TensorBoard reads it and as a table.

`logs/training` and `logs/validation` hold event files with the scalars `accuracy` and `loss`, so
that TensorBoard draws both curves into one image; `epochs.csv` holds the same as a table. Both
are written anew when a run goes on, so no epoch stands in them twice, whatever a kill left behind.
"""

import csv
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, Final

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_trainer.errors import DamagedCacheError
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import storage_errors, write_whole


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """One epoch; accuracies are shares 0..1, losses are cross-entropies in nats.

    Training figures are those seen while learning, with augmentation and dropout at work, so they
    can lie below the validation figures.

    Attributes:
        epoch: counted from 1.
        accuracy: on the training rows.
        loss: on the training rows.
        validation_accuracy: on the images held back.
        validation_loss: on the images held back.
        seconds: how long the epoch took, its measurement included.
        validation_balanced_accuracy: mean recall of the classes held back; None where a run does
            not measure it.
    """

    epoch: int
    accuracy: float
    loss: float
    validation_accuracy: float
    validation_loss: float
    seconds: float
    validation_balanced_accuracy: float | None = None

    def row(self) -> dict[str, float]:
        """Give what was measured, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def line(self) -> str:
        """Say it in one line."""
        balanced = self.validation_balanced_accuracy
        return (
            f"Epoch {self.epoch}: loss {self.loss:.4f}, accuracy {self.accuracy:.4f}; "
            f"validation loss {self.validation_loss:.4f}, accuracy {self.validation_accuracy:.4f}"
            + ("" if balanced is None else f", balanced accuracy {balanced:.4f}")
        )


def keep(
    checkpoint: Path,
    state: Sequence[keras.Variable],
    history: tuple[EpochMetrics, ...],
) -> None:
    """Write the state behind the last epoch of `history`, in one step.

    Args:
        checkpoint: the file.
        state: the variables of network and optimiser, always in the same order.
        history: every epoch so far.

    Raises:
        StorageError: the disk is full or not writable; the state before is kept.
    """
    values = {f"v{n}": variable.numpy() for n, variable in enumerate(state)}
    epochs = np.frombuffer(json.dumps([epoch.row() for epoch in history]).encode(), np.uint8)

    def write(file: BinaryIO) -> None:
        np.savez(file, history=epochs, **values)

    write_whole(checkpoint, write)


def restore(checkpoint: Path, state: Sequence[keras.Variable]) -> tuple[EpochMetrics, ...]:
    """Give the variables the values that were kept, if any, and say what it came to.

    Raises:
        DamagedCacheError: it cannot be read, or is another network's.
    """
    with _opened(checkpoint) as kept:
        if kept is None:
            return ()
        for number, variable in enumerate(state):
            variable.assign(kept[f"v{number}"])
        return _history_in(kept)


def finished_epochs(checkpoint: Path) -> tuple[EpochMetrics, ...]:
    """Read what the epochs came to whose end a checkpoint holds; none without one.

    Raises:
        DamagedCacheError: the checkpoint cannot be read.
    """
    with _opened(checkpoint) as kept:
        return () if kept is None else _history_in(kept)


@contextmanager
def _opened(checkpoint: Path) -> Iterator[Mapping[str, npt.NDArray[Any]] | None]:
    try:
        data = checkpoint.read_bytes()
    except FileNotFoundError:
        yield None
        return
    try:
        with np.load(io.BytesIO(data)) as kept:
            yield kept
    except (ValueError, TypeError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DamagedCacheError(
            f"The checkpoint {checkpoint} cannot be read. Delete it to train from the start."
        ) from error


def _history_in(kept: Mapping[str, npt.NDArray[Any]]) -> tuple[EpochMetrics, ...]:
    return tuple(EpochMetrics(**epoch) for epoch in json.loads(kept["history"].tobytes()))


Labels = npt.NDArray[np.int64]

Step = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""From inputs and labels to the mean loss and the number of right answers; it learns from them."""


def run_epochs(
    last: int,
    state: Sequence[keras.Variable],
    epoch: Callable[[int], EpochMetrics],
    checkpoint: Path,
    progress: Progress,
    finished: Callable[[EpochMetrics], None] | None = None,
) -> tuple[EpochMetrics, ...]:
    """Run the epochs that are not finished yet, and keep the state behind each.

    Args:
        last: number of the last epoch; the first is 1.
        state: everything that one epoch leaves to the next.
        epoch: runs an epoch, given its number; a pure function of that and the state.
        checkpoint: file that holds the state after the last finished epoch.
        progress: told what each epoch came to.
        finished: called after every epoch of this run, once its state is on disk.

    Returns:
        Every epoch, those of earlier runs included.

    Raises:
        DamagedCacheError: the checkpoint cannot be read.
        StorageError: the disk is full or not writable; the last finished epoch is kept.
    """
    history = restore(checkpoint, state)
    if history:
        progress.say(f"Resuming behind epoch {history[-1].epoch} of {last}")
    for number in range(len(history) + 1, last + 1):
        figures = epoch(number)
        history = (*history, figures)
        keep(checkpoint, state, history)
        if finished is not None:
            finished(figures)
        progress.say(figures.line())
    return history


def train_epoch(
    batches: Iterable[tuple[tf.Tensor, tf.Tensor]],
    step: Step,
    rows: int,
    title: str,
    progress: Progress,
) -> tuple[float, float]:
    """Make a step with every batch; give the mean loss and the share of right answers.

    Args:
        batches: inputs and labels.
        step: learns from a batch.
        rows: how many there are in all batches together.
        title: of the pass, for whoever watches.
        progress: told how many rows are done, and the loss.
    """
    total_loss, hits, seen = 0.0, 0, 0
    with progress.track(title, total=rows, unit="rows") as shown:
        for inputs, labels in batches:
            loss, hit = step(inputs, labels)
            size = len(labels)
            total_loss += float(loss) * size
            hits += int(hit)
            seen += size
            shown.advance(size)
            shown.note(f"loss {total_loss / seen:.4f}")
    return total_loss / rows, hits / rows


def reseed_dropout(network: keras.Model, seed: int, number: int) -> None:
    """Make an epoch's dropout a function of the seed and the epoch's number."""
    dropouts = [layer for layer in network.layers if isinstance(layer, keras.layers.Dropout)]
    for place, layer in enumerate(dropouts):
        layer.seed_generator.state.assign([(seed + place) % 2**32, number])


def cross_entropy(logits: npt.NDArray[np.float32], labels: Labels) -> float:
    """Give the mean cross-entropy of logits [n, 7], in nats."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    return float(np.mean(log_sum - shifted[np.arange(len(labels)), labels]))


LOGS: Final = "logs"
TABLE: Final = "epochs.csv"

# What `tf.summary.scalar` writes too; but that asks for TensorBoard to be installed, which only
# reading the logs should.
_SCALAR: Final = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
)


class EpochLog:
    """The log of one run.

    Args:
        folder: the run's.
        earlier: epochs that are finished already.

    Raises:
        StorageError: the disk is full or not writable.
    """

    def __init__(self, folder: Path, earlier: Sequence[EpochMetrics] = ()) -> None:
        self._folder = folder
        self._epochs: list[EpochMetrics] = []
        logs = folder / LOGS
        with storage_errors(logs):
            shutil.rmtree(logs, ignore_errors=True)
            self._training, self._validation = (
                tf.summary.create_file_writer(str(logs / side))
                for side in ("training", "validation")
            )
        for epoch in earlier:
            self._write_events(epoch)
            self._epochs.append(epoch)
        self._write_table()

    def add(self, epoch: EpochMetrics) -> None:
        """Log one more epoch.

        Raises:
            StorageError: the disk is full or not writable.
        """
        self._epochs.append(epoch)
        self._write_events(epoch)
        self._write_table()

    def _write_events(self, epoch: EpochMetrics) -> None:
        sides = (
            (self._training, epoch.accuracy, epoch.loss),
            (self._validation, epoch.validation_accuracy, epoch.validation_loss),
        )
        with storage_errors(self._folder / LOGS):
            for writer, accuracy, loss in sides:
                with writer.as_default(step=epoch.epoch):
                    for tag, value in (("accuracy", accuracy), ("loss", loss)):
                        tf.summary.write(tag, tf.constant(value, tf.float32), metadata=_SCALAR)
                writer.flush()

    def _write_table(self) -> None:
        text = io.StringIO()
        rows = [epoch.row() for epoch in self._epochs]
        measured = {name for row in rows for name in row}
        optional = {"validation_balanced_accuracy"} - measured
        names = [field.name for field in fields(EpochMetrics) if field.name not in optional]
        table = csv.DictWriter(text, names, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        content = text.getvalue().encode()
        write_whole(self._folder / TABLE, lambda file: file.write(content))
