"""The folder with the results: one Parquet file for each part of the archive, and what the run is.

    DIR/run.json            source, model, engine and settings; written first
    DIR/rows/part-00000.parquet, ...   the rows of so many images each, in the archive's order
    DIR/summary.json, summary.html     written last: the run is finished
    DIR/.lock               held while a process writes here

A part appears in one step and says which images it has, so there is no list beside it that could
say otherwise: a part that is there is finished.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any, Final

from lentigo_contract.system.files import flush_folder, is_full_disk, write_atomically
from lentigo_inference.errors import MissingExtraError, ResultFolderError
from lentigo_inference.scoring.rows import AnsweredBy, Row, arrow_table

SCHEMA: Final = 1

_RUN: Final = "run.json"
_SUMMARY: Final = "summary.json"
_PAGE: Final = "summary.html"
_ROWS: Final = "rows"
_LOCK: Final = ".lock"
_DIGEST_KEY: Final = b"images_sha256"


class ImageListDigest:
    """SHA-256 over the paths and stamps of images, in their order."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, path: str, stamp: str) -> None:
        """Add an image."""
        self._hash.update(f"{path}\0{stamp}\n".encode())

    def hex(self) -> str:
        """Return the digest so far."""
        return self._hash.hexdigest()


@dataclass(frozen=True, slots=True)
class PartRecord:
    """What a finished part says of itself.

    Attributes:
        rows: number of its images.
        digest: of its images, see `ImageListDigest`.
    """

    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class ResultFolder:
    """The folder of one run, which is locked; see `open_results`.

    Attributes:
        path: of the folder.
        answered_by: what stands in every row.
        part_size: images of a part.
    """

    path: Path
    answered_by: AnsweredBy
    part_size: int

    @property
    def finished(self) -> bool:
        """Whether the run is finished."""
        return (self.path / _SUMMARY).exists()

    def part(self, number: int) -> PartRecord | None:
        """Return what a part says of itself; None if it is not there.

        Raises:
            ResultFolderError: it is there and cannot be read.
        """
        import pyarrow as pa  # noqa: PLC0415 - an extra
        import pyarrow.parquet as pq  # noqa: PLC0415

        path = self._part(number)
        try:
            footer = pq.read_metadata(path)
        except FileNotFoundError:
            return None
        except (OSError, pa.ArrowException) as error:
            raise ResultFolderError(
                f"{path} cannot be read. Remove it, and the same command scores it again."
            ) from error
        digest = (footer.metadata or {}).get(_DIGEST_KEY, b"").decode()
        return PartRecord(footer.num_rows, digest)

    def write_part(self, number: int, rows: list[Row], digest: str) -> None:
        """Write a part in one step, over the one that may be there.

        Args:
            number: of the part.
            rows: of all its images.
            digest: of its images.

        Raises:
            ResultFolderError: the disk is full or not writable; what was there is unchanged.
        """
        import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

        ordered = sorted(rows, key=lambda row: row.item)
        metadata = {_DIGEST_KEY.decode(): digest, "schema": str(SCHEMA)}
        table = arrow_table(ordered, self.answered_by, metadata)
        self._write(
            self._part(number),
            lambda file: pq.write_table(table, file, compression="zstd"),
        )

    def parts(self) -> Iterator[Path]:
        """Give the files of the parts, in their order."""
        return iter(sorted((self.path / _ROWS).glob("part-*.parquet")))

    def finish(self, summary: dict[str, Any], page: str) -> None:
        """Write the summary, which ends the run.

        Raises:
            ResultFolderError: the disk is full or not writable.
        """
        self._write(self.path / _PAGE, page.encode())
        self._write(self.path / _SUMMARY, (json.dumps(summary, indent=2) + "\n").encode())
        flush_folder(self.path)

    def reopen(self, parts: list[Path]) -> None:
        """Take back some parts, so that the run is not finished any more."""
        for path in (self.path / _SUMMARY, *parts):
            path.unlink(missing_ok=True)

    def _part(self, number: int) -> Path:
        return self.path / _ROWS / f"part-{number:05}.parquet"

    def _write(self, path: Path, content: bytes | Callable[..., object]) -> None:
        try:
            write_atomically(path, content)
        except OSError as error:
            raise _unwritable(self.path, error) from error


@contextmanager
def open_results(
    path: Path, run: dict[str, Any], answered_by: AnsweredBy, part_size: int
) -> Iterator[ResultFolder]:
    """Make a folder for a run, or go on with the one that is there; locks it meanwhile.

    Args:
        path: of the folder.
        run: what the run is: its source, model, engine and settings.
        answered_by: what stands in every row.
        part_size: images of a part.

    Raises:
        ResultFolderError: it has the results of another run, another process writes to it, or it
            cannot be written.
    """
    try:
        (path / _ROWS).mkdir(parents=True, exist_ok=True)
        lock = (path / _LOCK).open("wb")
    except OSError as error:
        raise _unwritable(path, error) from error
    with lock:
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except OSError as error:
            raise ResultFolderError(
                f"Another process writes its results to {path}. Wait for it, or name another "
                "folder."
            ) from error
        _require_same_run(path, {"schema": SCHEMA, **run, "answered_by": asdict(answered_by)})
        yield ResultFolder(path, answered_by, part_size)


def recorded_engine(path: Path) -> str | None:
    """Return the engine of the run that a folder has begun with; None if there is none."""
    try:
        run = json.loads((path / _RUN).read_bytes())
        engine = run["answered_by"]["engine"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return engine if isinstance(engine, str) else None


def require_pyarrow() -> None:
    """Check that Parquet can be written; raises MissingExtraError."""
    try:
        import pyarrow.parquet  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError(
            "Scoring writes Parquet, which needs pyarrow. Install lentigo-inference[score]."
        ) from error


def _require_same_run(path: Path, run: dict[str, Any]) -> None:
    try:
        written = (path / _RUN).read_bytes()
    except FileNotFoundError:
        if any((path / _ROWS).iterdir()):
            raise ResultFolderError(
                f"{path} has rows and no {_RUN}. Name another folder."
            ) from None
        try:
            write_atomically(path / _RUN, (json.dumps(run, indent=2) + "\n").encode())
        except OSError as error:
            raise _unwritable(path, error) from error
        return
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        before = json.loads(written)
    except ValueError as error:
        raise ResultFolderError(f"{path / _RUN} is damaged. Name another folder.") from error
    different = _differences(before, json.loads(json.dumps(run)))
    if different:
        raise ResultFolderError(
            f"{path} has the results of another run: {', '.join(different)}. Name another folder, "
            "or run it as before."
        )


def _differences(before: Any, now: Any, name: str = "") -> list[str]:  # noqa: ANN401 - JSON
    """Name what differs between two documents, with both values where they are short."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted({*before, *now})
        found = [
            _differences(before.get(key), now.get(key), f"{name}.{key}" if name else key)
            for key in keys
        ]
        return [line for lines in found for line in lines]
    return [] if before == now else [f"{name} was {_short(before)} and is {_short(now)}"]


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 100 else f"{text[:100]}..."


def _unwritable(path: Path, error: OSError) -> ResultFolderError:
    if is_full_disk(error):
        return ResultFolderError(
            f"The disk of {path} is full. Make room; the same command then goes on."
        )
    return ResultFolderError(
        f"{path} cannot be written ({error.strerror or error}). Let this user write to it, or "
        "name another folder."
    )
