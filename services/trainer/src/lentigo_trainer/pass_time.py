"""How long a feature pass took, over all the sittings it was made in.

Each chunk of rows has a line in `time.jsonl`, beside the features. A chunk that a killed pass left
unfinished is computed anew and gets a second line; the last one counts.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import monotonic
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lentigo_trainer.features import CHUNK_ROWS
from lentigo_trainer.system.storage import storage_errors

_FILE: Final = "time.jsonl"

Pictures = NDArray[np.float32]
FromRow = Callable[[int], Iterable[Pictures]]


def timed(
    pictures: FromRow, folder: Path, clock: Callable[[], float] = monotonic
) -> Callable[[int], Iterator[Pictures]]:
    """Pass pictures on and keep how long each chunk takes, with everything done to it meanwhile.

    Args:
        pictures: given a first row, the batches from there on.
        folder: where the time is kept; it exists when the first batch is asked for.
        clock: seconds, monotonic.
    """

    def from_row(first: int) -> Iterator[Pictures]:
        started, row, done = clock(), first, first
        for batch in pictures(first):
            yield batch
            done += len(batch)
            if done - row >= CHUNK_ROWS:
                _keep(folder, row, done, clock() - started)
                started, row = clock(), done
        if done > row:
            _keep(folder, row, done, clock() - started)

    return from_row


def seconds_of(folder: Path, rows: int) -> float | None:
    """Add up how long the pass over so many rows took; None where not every chunk was timed."""
    chunks: dict[int, tuple[int, float]] = {}
    try:
        for line in (folder / _FILE).read_text().splitlines():
            found = json.loads(line)
            chunks[int(found["row"])] = (int(found["rows"]), float(found["seconds"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if sum(count for count, _ in chunks.values()) != rows:
        return None
    return sum(seconds for _, seconds in chunks.values())


def _keep(folder: Path, row: int, end: int, seconds: float) -> None:
    line = json.dumps({"row": row, "rows": end - row, "seconds": round(seconds, 3)})
    with storage_errors(folder / _FILE), (folder / _FILE).open("a") as file:
        file.write(line + "\n")
