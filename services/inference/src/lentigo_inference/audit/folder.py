"""What lies where in the folder of an audit trail, and how it is read.

    DIR/
      1/                                    a series: the files of one instance at a time
        lock                                held by that instance while it runs
        00000001-20261130T010203Z.jsonl     its files, by number and by the time they begin
        00000002-20261201T000000Z.jsonl
      2/                                    of a second instance beside it

A series is one chain over all its files. An instance takes the first series that nobody holds, so a
service that starts again goes on with its own, whatever its container is called.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from lentigo_contract.system.files import flush_folder
from lentigo_inference.audit.chain import CHECKPOINT, Link, parse
from lentigo_inference.errors import AuditFileError

MAX_SERIES: Final = 256
"""Instances side by side on one folder, at most."""

_LOCK: Final = "lock"
_NAME: Final = re.compile(r"(\d{8})-(\d{8}T\d{6}Z)\.jsonl")
_TIME: Final = "%Y%m%dT%H%M%SZ"

# Longer than any record, which has a few KiB. So much is read to find the last one of a file.
_TAIL_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True, order=True)
class AuditFile:
    """A file of a series.

    Attributes:
        number: its place in the series, from 1.
        started: when it was begun, Unix time in whole seconds.
        path: where it is.
    """

    number: int
    started: int
    path: Path

    def lines(self) -> Iterator[bytes]:
        """Yield the lines, each with its newline; the last may have none.

        What is longer than any record comes in pieces without one.

        Raises:
            AuditFileError: the file cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                while line := file.readline(_TAIL_BYTES):
                    yield line
        except OSError as error:
            raise _unreadable(self.path, error) from error

    def blocks(self, start: int = 0) -> Iterator[bytes]:
        """Yield what stands from a byte on, in blocks of whole lines; not a half line at the end.

        What is longer than any record comes in pieces.

        Raises:
            AuditFileError: the file cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                half = b""
                while read := file.read(_TAIL_BYTES):
                    whole, newline, half = (half + read).rpartition(b"\n")
                    if newline:
                        yield whole + newline
                    elif len(half) > _TAIL_BYTES:
                        yield half
                        half = b""
        except OSError as error:
            raise _unreadable(self.path, error) from error


@dataclass(frozen=True, slots=True)
class FileEnd:
    """How a file ends.

    Attributes:
        link: its last whole record.
        time: of that record, as it stands there.
        closed: whether that is the checkpoint with which a file is closed.
        half_bytes: of a record after it that was not written to its end.
    """

    link: Link
    time: str
    closed: bool
    half_bytes: int


def name_of(number: int, seconds: float) -> str:
    """Return the name of a file that begins at a Unix time."""
    return f"{number:08}-{datetime.fromtimestamp(seconds, UTC).strftime(_TIME)}.jsonl"


def series_folders(folder: Path) -> list[tuple[int, Path]]:
    """Return the series of a trail by their numbers.

    Raises:
        AuditFileError: the folder cannot be listed.
    """
    try:
        names = [entry.name for entry in folder.iterdir() if entry.is_dir()]
    except OSError as error:
        raise _unreadable(folder, error) from error
    return sorted((int(name), folder / name) for name in names if re.fullmatch(r"[1-9]\d*", name))


def files_of(series: Path) -> list[AuditFile]:
    """Return the files of a series in their order.

    Raises:
        AuditFileError: the folder cannot be listed.
    """
    try:
        names = [entry.name for entry in series.iterdir()]
    except OSError as error:
        raise _unreadable(series, error) from error
    files = []
    for found in filter(None, map(_NAME.fullmatch, names)):
        with suppress(ValueError):
            started = datetime.strptime(found[2], _TIME).replace(tzinfo=UTC)
            files.append(AuditFile(int(found[1]), int(started.timestamp()), series / found[0]))
    return sorted(files)


def records_of(file: AuditFile) -> Iterator[dict[str, Any]]:
    """Yield the records of a file that can be read. Whether they are sound is not checked."""
    for line in file.lines():
        record = parse(line)
        if record is not None:
            yield record


def end_of(path: Path) -> FileEnd:
    """Return how a file ends, without reading all of it.

    Raises:
        AuditFileError: it cannot be read, or its last line is no record.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            *whole, half = file.read().split(b"\n")
    except OSError as error:
        raise _unreadable(path, error) from error
    record = parse(whole[-1]) if whole else None
    if record is None:
        raise AuditFileError(
            f"{path} does not end with a record, so its series cannot be gone on with. Keep the "
            f"folder {path.parent}, but move it away."
        )
    closed = record["kind"] == CHECKPOINT and record.get("event") == "closed"
    link = Link(record["seq"] - 1).follow(whole[-1])
    return FileEnd(link, str(record.get("time")), closed, len(half))


def take_series(folder: Path) -> tuple[Path, int]:
    """Take the first series that no other process holds.

    Returns:
        Its folder, and the descriptor whose closing lets go of it.

    Raises:
        OSError: the folder is missing or not writable.
    """
    for number in range(1, MAX_SERIES + 1):
        series = folder / str(number)
        with suppress(FileExistsError):
            # Its parent is not made: where a volume is not mounted, nothing must be written.
            series.mkdir(mode=0o750)
            flush_folder(folder)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(series / _LOCK, flags, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        else:
            return series, descriptor
    raise BlockingIOError(f"{MAX_SERIES} instances write to {folder} already")


def is_held(series: Path) -> bool:
    """Return whether a running instance writes to a series."""
    try:
        descriptor = os.open(series / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _unreadable(path: Path, error: OSError) -> AuditFileError:
    return AuditFileError(
        f"{path} cannot be read: {error.strerror or error}. Name the folder of LENTIGO_AUDIT_DIR, "
        "and read it as the user of the service or of its group."
    )
