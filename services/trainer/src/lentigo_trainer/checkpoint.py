"""The state between two epochs on disk: variables, the optimiser's, and every epoch's figures."""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import keras
import numpy as np
import numpy.typing as npt

from lentigo_contract.errors import DamagedCacheError
from lentigo_trainer.history import EpochFigures
from lentigo_trainer.storage import write_whole


def keep(
    checkpoint: Path,
    tail: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    history: tuple[EpochFigures, ...],
) -> None:
    """Write the state behind the last epoch of `history`, in one step.

    Raises:
        StorageError: the disk is full or not writable; the state before is kept.
    """
    values = {f"v{n}": variable.numpy() for n, variable in enumerate(_state(tail, optimizer))}
    epochs = np.frombuffer(json.dumps([asdict(epoch) for epoch in history]).encode(), np.uint8)

    def write(file: BinaryIO) -> None:
        np.savez(file, history=epochs, **values)

    write_whole(checkpoint, write)


def restore(
    checkpoint: Path, tail: keras.Model, optimizer: keras.optimizers.Optimizer
) -> tuple[EpochFigures, ...]:
    """Give tail and optimiser the state that was kept, if there is one, and say what it came to.

    Raises:
        DamagedCacheError: it cannot be read, or is another network's.
    """
    with _opened(checkpoint) as kept:
        if kept is None:
            return ()
        for number, variable in enumerate(_state(tail, optimizer)):
            variable.assign(kept[f"v{number}"])
        return _history_in(kept)


def finished_epochs(checkpoint: Path) -> tuple[EpochFigures, ...]:
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


def _history_in(kept: Mapping[str, npt.NDArray[Any]]) -> tuple[EpochFigures, ...]:
    return tuple(EpochFigures(**epoch) for epoch in json.loads(kept["history"].tobytes()))


def _state(tail: keras.Model, optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    return [*tail.variables, *optimizer.variables]
