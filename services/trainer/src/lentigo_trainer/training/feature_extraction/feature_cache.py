"""Features of the frozen backbone: computed once per row, kept on disk, memory-mapped for training.

`features.f16` holds the rows one after another as float16. `features.jsonl` is a journal: its first
line says what the features were made of, and each further line holds the CRC-32 of one finished
chunk of rows. A pass that was killed resumes after the last finished chunk.

`time.jsonl` holds how long each chunk took, over all runs that computed the features. A chunk that
a killed pass left unfinished is computed again and gets a second line; the last line counts.
"""

import json
import mmap
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from lentigo_trainer.errors import DamagedCacheError, WeightsError, WorkFolderError
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import require_space, storage_errors, write_whole

CHUNK_ROWS: Final = 1_024

# How much is read before the mapped pages are released. The kernel also maps pages around those
# that are read: at 512 MiB up to 758 MiB of MobileNet's features were resident, at 128 MiB 221 MiB.
# A whole run at 512 MiB peaked at 5.79 GB, too close to its limit of 6 GB.
_RELEASE_BYTES: Final = 128 * 2**20

_TIMES: Final = "time.jsonl"

Features = npt.NDArray[np.float16]

Backbone = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]

Images = NDArray[np.float32]

FromRow = Callable[[int], Iterable[Images]]


@dataclass(frozen=True, slots=True)
class FeatureKey:
    """What features are made of; features with another key are never used.

    Attributes:
        name: what the rows are for, such as `train`.
        images: digest of the prepared images.
        plan: digest of the rows.
        backbone: digest of the frozen layers and their values.
        rows: number of rows.
        shape: of one row's features.
    """

    name: str
    images: str
    plan: str
    backbone: str
    rows: int
    shape: tuple[int, ...]

    def header(self) -> dict[str, object]:
        """Return the journal's first line; its keys are those of older versions."""
        values = asdict(self) | {"shape": list(self.shape)}
        return {"trunk" if key == "backbone" else key: value for key, value in values.items()}

    @property
    def row_bytes(self) -> int:
        """Bytes of one row on disk."""
        return int(np.prod(self.shape)) * 2


class FeatureFile:
    """Features on disk, read by row number, with little resident memory."""

    def __init__(self, path: Path, key: FeatureKey) -> None:
        self.key = key
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        self._rows: Features = np.frombuffer(self._map, np.float16).reshape(-1, *key.shape)
        self._touched = 0

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.key.rows

    def take(self, rows: npt.NDArray[np.int64]) -> Features:
        """Return a copy of some rows: float16 [len(rows), *shape]."""
        taken = self._rows[rows]
        self._touched += taken.nbytes
        if self._touched > _RELEASE_BYTES:
            # Mapped pages count as this process's memory; the kernel still caches them.
            self._map.madvise(mmap.MADV_DONTNEED)
            self._touched = 0
        return taken


def compute_features(
    backbone: Backbone,
    images: Callable[[int], Iterable[npt.NDArray[np.float32]]],
    folder: Path,
    key: FeatureKey,
    progress: Progress,
) -> FeatureFile:
    """Run the frozen backbone once over every row, or resume an earlier pass.

    Args:
        backbone: float32 [b, 224, 224, 3] -> float32 [b, *key.shape].
        images: returns the batches from a given row on.
        folder: where the features are kept.
        key: what the features are made of.
        progress: shows the number of finished rows.

    Raises:
        WorkFolderError: the folder holds features made of something else.
        DamagedCacheError: features on disk no longer match their checksums.
        StorageError: the disk is full or not writable; finished chunks are kept.
    """
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    data, journal = folder / "features.f16", folder / "features.jsonl"
    sums = _read_journal(journal, key)
    done = min(len(sums) * CHUNK_ROWS, key.rows)
    if len(sums) > -(-key.rows // CHUNK_ROWS) or (sums and not data.is_file()):
        raise _damaged(data)
    if done:
        _check(data, sums, key, progress)
    if done < key.rows:
        require_space(folder, (key.rows - done) * key.row_bytes)
        with storage_errors(data), data.open("ab") as file, journal.open("ab") as lines:
            # Rows after the last finished chunk were being written when the pass was killed.
            file.truncate(done * key.row_bytes)
            _append(backbone, images(done), file, lines, key, done, progress)
    return FeatureFile(data, key)


def timed(
    images: FromRow, folder: Path, clock: Callable[[], float] = monotonic
) -> Callable[[int], Iterator[Images]]:
    """Yield batches and write down how long each chunk takes, including what is done with it.

    Args:
        images: returns the batches from a given row on.
        folder: where the times are kept; it exists once the first batch is read.
        clock: seconds, monotonic.
    """

    def from_row(first: int) -> Iterator[Images]:
        started, row, done = clock(), first, first
        for batch in images(first):
            yield batch
            done += len(batch)
            if done - row >= CHUNK_ROWS:
                _write_time(folder, row, done, clock() - started)
                started, row = clock(), done
        if done > row:
            _write_time(folder, row, done, clock() - started)

    return from_row


def pass_seconds(folder: Path, rows: int) -> float | None:
    """Return how many seconds the pass over all rows took; None if a chunk was not timed."""
    chunks: dict[int, tuple[int, float]] = {}
    try:
        for line in (folder / _TIMES).read_text().splitlines():
            found = json.loads(line)
            chunks[int(found["row"])] = (int(found["rows"]), float(found["seconds"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if sum(count for count, _ in chunks.values()) != rows:
        return None
    return sum(seconds for _, seconds in chunks.values())


def _append(
    backbone: Backbone,
    images: Iterable[npt.NDArray[np.float32]],
    file: BinaryIO,
    journal: BinaryIO,
    key: FeatureKey,
    done: int,
    progress: Progress,
) -> None:
    with progress.track(f"Features ({key.name})", total=key.rows, unit="rows", done=done) as step:
        crc, rows = 0, 0
        for batch in images:
            block = _finite(backbone(batch), done).tobytes()
            file.write(block)
            crc = zlib.crc32(block, crc)
            rows += len(batch)
            done += len(batch)
            step.advance(len(batch))
            if rows == CHUNK_ROWS or done == key.rows:
                file.flush()
                os.fsync(file.fileno())
                journal.write(json.dumps({"rows": rows, "crc32": crc}).encode() + b"\n")
                journal.flush()
                os.fsync(journal.fileno())
                crc, rows = 0, 0


def _finite(features: npt.NDArray[np.float32], row: int) -> Features:
    with np.errstate(over="ignore"):
        half = features.astype(np.float16)
    if not np.isfinite(half).all():
        raise WeightsError(
            f"The frozen layers overflow on the batch from row {row:,}. Check that the weight file "
            "belongs to this architecture."
        )
    return half


def _read_journal(journal: Path, key: FeatureKey) -> list[int]:
    header = key.header()
    try:
        lines = journal.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        lines = []
    if not lines:
        write_whole(journal, lambda file: file.write(json.dumps(header).encode() + b"\n"))
        return []
    try:
        found, *sums = [json.loads(line) for line in _whole_lines(lines)]
        crcs = [int(line["crc32"]) for line in sums]
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(journal) from error
    if found != header:
        raise WorkFolderError(
            f"{journal.parent} holds features made of other images, rows or weights, "
            "or on another kind of processor. Choose another --work, or delete that folder."
        )
    if len(crcs) + 1 < len(lines):
        write_whole(journal, lambda file: file.write(b"".join(_whole_lines(lines))))
    return crcs


def _whole_lines(lines: list[bytes]) -> list[bytes]:
    """Leave out a last line that was still being written when the pass was killed."""
    return lines if lines[-1].endswith(b"\n") else lines[:-1]


def _check(data: Path, sums: list[int], key: FeatureKey, progress: Progress) -> None:
    with (
        data.open("rb") as file,
        progress.track(f"Checking features ({key.name})", total=key.rows, unit="rows") as step,
    ):
        for number, expected in enumerate(sums):
            rows = min(CHUNK_ROWS, key.rows - number * CHUNK_ROWS)
            if zlib.crc32(file.read(rows * key.row_bytes)) != expected:
                raise _damaged(data, f" at row {number * CHUNK_ROWS:,}")
            step.advance(rows)


def _damaged(file: Path, where: str = "") -> DamagedCacheError:
    return DamagedCacheError(
        f"{file} is damaged{where}. Delete {file.parent} and run the same command again."
    )


def _write_time(folder: Path, row: int, end: int, seconds: float) -> None:
    line = json.dumps({"row": row, "rows": end - row, "seconds": round(seconds, 3)})
    with storage_errors(folder / _TIMES), (folder / _TIMES).open("a") as file:
        file.write(line + "\n")
