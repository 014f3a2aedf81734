"""The state between two epochs on disk: variables, the optimiser's, and every epoch's figures."""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import keras
import numpy as np
import numpy.typing as npt

from lentigo_contract.errors import DamagedCacheError
from lentigo_trainer.history import EpochFigures
from lentigo_trainer.system.storage import write_whole


def keep(
    checkpoint: Path,
    state: Sequence[keras.Variable],
    history: tuple[EpochFigures, ...],
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


def restore(checkpoint: Path, state: Sequence[keras.Variable]) -> tuple[EpochFigures, ...]:
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
