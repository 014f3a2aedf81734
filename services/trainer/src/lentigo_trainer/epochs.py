"""What every training loop does: epoch after epoch, kept on disk, from the last finished one on."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_trainer.checkpoint import keep, restore
from lentigo_trainer.history import EpochFigures
from lentigo_trainer.system.progress import Progress

Labels = npt.NDArray[np.int64]

Step = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""From inputs and labels to the mean loss and the number of right answers; it learns from them."""


def run_epochs(
    last: int,
    state: Sequence[keras.Variable],
    epoch: Callable[[int], EpochFigures],
    checkpoint: Path,
    progress: Progress,
    finished: Callable[[EpochFigures], None] | None = None,
) -> tuple[EpochFigures, ...]:
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


def learn_from(
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
