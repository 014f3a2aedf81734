"""Verifies the audit trail of a folder: every file of every series, within bounded memory."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from lentigo_inference.audit.chain import CHECKPOINT, Link, seconds_of
from lentigo_inference.audit.checks import ChainCheck, Finding
from lentigo_inference.audit.folder import AuditFile, files_of, is_held, series_folders
from lentigo_inference.audit.signing import Verifier
from lentigo_inference.errors import AuditFileError

_NUMBER: Final = re.compile(rb'\{"seq":(\d{1,18}),')

# Stands for the number of the line after the last; records have numbers from 1.
_END: Final = 0


@dataclass(frozen=True, slots=True)
class SeriesReport:
    """What verifying one series found.

    Attributes:
        number: of the series.
        files: how many it has.
        records: how many they have.
        head: the last record.
        vouched: number of the last checkpoint; later records are not signed yet.
        written: whether an instance writes to it now.
        notes: what is unusual and explained, such as a process that was killed.
        findings: what is wrong.
        unlisted: number of further findings.
    """

    number: int
    files: int
    records: int
    head: Link
    vouched: int
    written: bool
    notes: tuple[str, ...]
    findings: tuple[Finding, ...]
    unlisted: int


@dataclass(frozen=True, slots=True)
class TrailReport:
    """What verifying a folder found.

    Attributes:
        series: the report of each series.
        missing_series: numbers of series that must have been there: a lower one is begun first.
        missing_heads: those of the given heads that no series has.
    """

    series: tuple[SeriesReport, ...]
    missing_series: tuple[int, ...]
    missing_heads: frozenset[str]

    @property
    def sound(self) -> bool:
        """Whether everything is as it was written."""
        tampered = any(report.findings for report in self.series)
        return not (tampered or self.missing_series or self.missing_heads)


def verify(folder: Path, verifier: Verifier, heads: Collection[str] = ()) -> TrailReport:
    """Verify every series of a folder.

    Args:
        folder: of the trail.
        verifier: has the trusted keys.
        heads: digests of records that were the last ones once, kept elsewhere.

    Raises:
        AuditFileError: the folder or a file cannot be read, or there is no series.
    """
    found = series_folders(folder)
    if not found:
        raise AuditFileError(
            f"{folder} has no series, so there is nothing to verify. Name the folder of "
            "LENTIGO_AUDIT_DIR; it has a folder named 1."
        )
    missing_heads = set(heads)
    reports = [_verify_series(number, path, verifier, missing_heads) for number, path in found]
    numbers = {number for number, _path in found}
    missing_series = sorted(set(range(1, max(numbers))) - numbers)
    return TrailReport(tuple(reports), tuple(missing_series), frozenset(missing_heads))


def _verify_series(number: int, series: Path, verifier: Verifier, heads: set[str]) -> SeriesReport:
    # Asked before the files are listed: whoever lets go in between has closed its file.
    written = is_held(series)
    files = files_of(series)
    check, notes, records = ChainCheck(verifier, heads), list[str](), 0
    half, before = 0, None
    for file in files:
        opened: dict[str, Any] | None = None
        tail = b""
        for place, (line, following) in enumerate(_with_following(file)):
            if following == _END and not line.endswith(b"\n"):
                tail = line
                break
            if place and check.closed:
                _blame_addition(check, file)
            record = check.take(line.rstrip(b"\n"), following)
            records += 1
            opened = record if place == 0 else opened
            if place == 0 and before is not None:
                _check_join(check, notes, before, half, record)
        if tail and check.closed:
            _blame_addition(check, file)
        half, before = len(tail), file
        if opened is None or not _begins(file, opened, number):
            text = f"{file.path.name} does not begin as file {file.number} of its series"
            check.blame("edited", check.link.seq if check.link else 0, text)
    check.finish()
    if not written and not check.closed:
        _blame_tail(check, files[-1] if files else None, half)
    return SeriesReport(
        number,
        len(files),
        records,
        check.link or Link(),
        check.vouched,
        written,
        tuple(notes),
        tuple(check.findings),
        check.unlisted,
    )


def _begins(file: AuditFile, opened: dict[str, Any], series: int) -> bool:
    """Return whether a record begins this file of this series, at the time of its name."""
    return (
        opened["kind"] == CHECKPOINT
        and opened.get("file") == file.number
        # Files of earlier builds do not say of which series they are.
        and opened.get("series", series) == series
        and int(seconds_of(opened)) == file.started
    )


def _blame_addition(check: ChainCheck, file: AuditFile) -> None:
    seq = check.link.seq + 1 if check.link else 0
    check.blame("inserted", seq, f"from record {seq} on {file.path.name} goes on after its end")


def _check_join(
    check: ChainCheck,
    notes: list[str],
    before: AuditFile,
    half: int,
    opened: dict[str, Any] | None,
) -> None:
    """Check how a file ended against what the next one says of it."""
    after = (opened or {}).get("after")
    if opened is None or not isinstance(after, dict):
        return
    if half != after.get("half_bytes"):
        text = f"{before.path.name} ends within a record, and the next file says otherwise"
        check.blame("truncated", opened["seq"] - 1, text)
    elif not after.get("closed"):
        text = (
            f"after record {opened['seq'] - 1} the service was cut off without a checkpoint, and "
            f"went on at {opened.get('time')} (cause: {opened.get('cause')})"
        )
        notes.append(text)


def _blame_tail(check: ChainCheck, file: AuditFile | None, half: int) -> None:
    if file is None:
        text = "it has no file: all were removed, or nothing could ever be written"
        check.blame("truncated", 0, text)
        return
    seq = check.link.seq if check.link else 0
    where = "ends within a record" if half else "ends without its last checkpoint"
    text = (
        f"{file.path.name} {where}, after record {seq}: its tail was cut off, or the service was "
        "killed and has not started again since"
    )
    check.blame("truncated", seq, text)


def _with_following(file: AuditFile) -> Iterator[tuple[bytes, int | None]]:
    """Yield each line of a file, and the number that the one after it gives itself, or `_END`."""
    for (line, _number), (_next, following) in pairwise(_numbered(file)):
        yield line, following


def _numbered(file: AuditFile) -> Iterator[tuple[bytes, int | None]]:
    for line in file.lines():
        found = _NUMBER.match(line)
        yield line, int(found[1]) if found else None
    yield b"", _END
