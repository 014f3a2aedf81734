"""Writes records to one series: whole, in order, and on the disk when `write` returns.

A start, a fault of the disk and a rotation take one path: let go of the file, and begin another,
whose first record says how the one before it ended. No file is ever changed once it was let go.
"""

import errno
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

from lentigo_contract.system.files import flush_folder, write_atomically
from lentigo_inference import __version__
from lentigo_inference.audit.chain import (
    Fields,
    Link,
    add_checkpoint,
    add_record,
    parse,
    seconds_of,
    timestamp,
)
from lentigo_inference.audit.folder import end_of, files_of, name_of, take_series
from lentigo_inference.audit.records import RETENTION
from lentigo_inference.audit.signing import Signer

_DAY_S: Final = 86_400

# A clock that is corrected by less leaves the times in a file in order enough to search by them.
_BACKWARDS_S: Final = 1.0

# Files removed when one is begun, at most. Two keep up with any retention, and a clock that is
# years ahead by mistake cannot remove the whole trail.
_REMOVED_AT_ONCE: Final = 2


@dataclass(frozen=True, slots=True)
class WriterLimits:
    """When a checkpoint is signed and a file is closed.

    Attributes:
        checkpoint_records: between two checkpoints, at most.
        unsigned_s: seconds that a record waits for its checkpoint, at most.
        file_bytes: from which on a file is closed; it is closed every day, too.
        retention_s: seconds after which a file is removed.
    """

    checkpoint_records: int = 1000
    unsigned_s: float = 60.0
    file_bytes: int = 64 * 2**20
    retention_s: float = 184.0 * _DAY_S


@dataclass(frozen=True, slots=True)
class FileEvent:
    """A file was begun or closed. Told to somebody else, it shows later what was cut off.

    Attributes:
        event: what happened.
        file: which one, below the folder of the trail.
        cause: why, as in its record.
        head: the record that it follows, or its last one.
        cut_off: whether the file before it was not closed.
    """

    event: Literal["begun", "closed"]
    file: str
    cause: str
    head: Link
    cut_off: bool = False


@dataclass(slots=True)
class _OpenFile:
    """The file that is written.

    Attributes:
        series: its folder.
        lock: descriptor that holds the series.
        path: of the file.
        descriptor: of the file.
        link: its last record on the disk.
        size: of what is on the disk, in bytes.
        day: on which it was begun, in days of Unix time.
        time: of its last record.
        unsigned: records since the last checkpoint.
        unsigned_since: when the first of these was written.
    """

    series: Path
    lock: int
    path: Path
    descriptor: int
    link: Link
    size: int
    day: int
    time: float
    unsigned: int = 0
    unsigned_since: float = 0.0


class ChainWriter:
    """Writes the records of one instance. Not safe from several threads."""

    def __init__(
        self,
        folder: Path,
        signer: Signer,
        limits: WriterLimits | None = None,
        clock: Callable[[], float] = time.time,
        observe: Callable[[FileEvent], None] = lambda _event: None,
    ) -> None:
        """Prepare; nothing is read or written yet.

        Args:
            folder: of the trail; it must exist when something is written.
            signer: signs the checkpoints.
            limits: when to sign, rotate and remove.
            clock: Unix time in seconds.
            observe: called for each file that is begun or closed.
        """
        self._folder = folder
        self._signer = signer
        self._limits = limits or WriterLimits()
        self._clock = clock
        self._observe = observe
        self._file: _OpenFile | None = None
        self._cause = "start"
        # By series, so that what was cut off it meanwhile is missed.
        self._known: dict[Path, Link] = {}

    @property
    def checkpoint_due_s(self) -> float | None:
        """Seconds until the next checkpoint is due without further records; None if none is."""
        if self._file is None or not self._file.unsigned:
            return None
        due = self._file.unsigned_since + self._limits.unsigned_s
        return min(self._limits.unsigned_s, max(0.0, due - self._clock()))

    def write(self, records: Sequence[Fields] = ()) -> None:
        """Put records on the disk, all of them or none; without any, do what is due.

        Raises:
            OSError: the disk is full or not writable, or the folder is gone.
            AuditFileError: the series of an earlier process cannot be gone on with.
        """
        try:
            file = self._current()
            self._append(file, records)
        except BaseException:
            self._abandon()
            raise

    def close(self) -> None:
        """Sign and close the file, if there is one; raises as `write` does."""
        if self._file is not None:
            try:
                self._finish(self._file, "stop")
            finally:
                self._abandon()

    def _current(self) -> _OpenFile:
        """Return the file to write to: the one that is open, or one that is begun now."""
        now = self._clock()
        if self._file is None:
            series, lock = take_series(self._folder)
            try:
                self._file = self._begin(series, lock, self._cause, now)
            except BaseException:
                os.close(lock)
                raise
            self._remove_expired(self._file, now)
        elif cause := self._rotation_cause(self._file, now):
            done = self._file
            self._finish(done, cause)
            os.close(done.descriptor)
            done.descriptor = -1
            self._file = self._begin(done.series, done.lock, cause, now)
            self._remove_expired(self._file, now)
        _require_in_place(self._file)
        return self._file

    def _rotation_cause(self, file: _OpenFile, now: float) -> str | None:
        if now < file.time - _BACKWARDS_S:
            return "clock"
        if int(now // _DAY_S) != file.day:
            return "day"
        return "size" if file.size >= self._limits.file_bytes else None

    def _begin(self, series: Path, lock: int, cause: str, now: float) -> _OpenFile:
        """Begin the next file of a series with a checkpoint that says how the last one ended."""
        number, link, after = 1, Link(), None
        files = files_of(series)
        if files:
            last = files[-1]
            end = end_of(last.path)
            number, link = last.number + 1, end.link
            after = {"file": last.number, "closed": end.closed, "half_bytes": end.half_bytes}
        link = max(link, self._known.get(series, link), key=lambda each: each.seq)
        head = link
        opened = {
            "time": timestamp(now),
            "event": "opened",
            "cause": cause,
            "series": int(series.name),
            "file": number,
            "after": after,
            "service": __version__,
        }
        line, link = self._checkpoint(link, opened)
        path = series / name_of(number, now)
        # In one step, so that a file always begins with a whole record.
        write_atomically(path, line, mode=0o640)
        flush_folder(series)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags)
        cut_off = after is not None and not after["closed"]
        self._observe(FileEvent("begun", _named(path), cause, head, cut_off=cut_off))
        return _OpenFile(
            series, lock, path, descriptor, link, len(line), int(now // _DAY_S), time=now
        )

    def _append(self, file: _OpenFile, records: Sequence[Fields]) -> None:
        now, lines, link = self._clock(), [], file.link
        for fields in records:
            line, link = add_record(link, {"time": timestamp(now), **fields})
            lines.append(line)
        if not file.unsigned:
            file.unsigned_since = now
        unsigned = file.unsigned + len(records)
        waited = now - file.unsigned_since >= self._limits.unsigned_s
        if unsigned and (waited or unsigned >= self._limits.checkpoint_records):
            line, link = self._checkpoint(link, {"time": timestamp(now), "event": "signed"})
            lines.append(line)
            unsigned = 0
        _flush(file, lines, link, now)
        file.unsigned = unsigned

    def _finish(self, file: _OpenFile, cause: str) -> None:
        now = self._clock()
        closed = {"time": timestamp(now), "event": "closed", "cause": cause}
        line, link = self._checkpoint(file.link, closed)
        _flush(file, [line], link, now)
        self._observe(FileEvent("closed", _named(file.path), cause, link))

    def _checkpoint(self, link: Link, fields: Fields) -> tuple[bytes, Link]:
        return add_checkpoint(link, {**fields, "key": self._signer.key_id}, self._signer.sign)

    def _remove_expired(self, file: _OpenFile, now: float) -> None:
        """Remove files of the series that are past retention; the chain says which."""
        before = now - self._limits.retention_s
        for old, following in list(pairwise(files_of(file.series)))[:_REMOVED_AT_ONCE]:
            # By the time that is signed: whoever may rename a file must not have the trail remove
            # it. A record that was tampered with shall still be found.
            first = parse(next(following.lines(), b"").rstrip(b"\n"))
            if first is None or not 0 < seconds_of(first) < before:
                return
            removed = {
                "kind": RETENTION,
                "file": old.number,
                "last_seq": first["seq"] - 1,
                "last_digest": first["prev"],
            }
            self._append(file, [removed])
            with suppress(OSError):
                old.path.unlink()

    def _abandon(self) -> None:
        """Let go of the file, without anything of what could not be written as a whole."""
        file, self._file, self._cause = self._file, None, "fault"
        if file is None:
            return
        self._known[file.series] = file.link
        if file.descriptor >= 0:
            with suppress(OSError):
                if os.fstat(file.descriptor).st_size > file.size:
                    os.ftruncate(file.descriptor, file.size)
            with suppress(OSError):
                os.close(file.descriptor)
        os.close(file.lock)


def _named(path: Path) -> str:
    """Return a file's place below the folder of the trail."""
    return f"{path.parent.name}/{path.name}"


def _require_in_place(file: _OpenFile) -> None:
    """Check that what is open is what lies in the folder; raises OSError."""
    # A file that was deleted, or whose volume is gone, takes every byte and keeps none.
    named, opened = os.stat(file.path), os.fstat(file.descriptor)  # noqa: PTH116 - in pairs
    if (named.st_dev, named.st_ino) != (opened.st_dev, opened.st_ino):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(file.path))
    if opened.st_size != file.size:
        raise OSError(errno.EIO, "another process changed the file", str(file.path))


def _flush(file: _OpenFile, lines: Sequence[bytes], link: Link, now: float) -> None:
    """Put lines on the disk, and note that they are there."""
    content = memoryview(b"".join(lines))
    if not content:
        return
    written = 0
    while written < len(content):
        written += os.write(file.descriptor, content[written:])
    os.fdatasync(file.descriptor)
    file.size += len(content)
    file.link, file.time = link, now
