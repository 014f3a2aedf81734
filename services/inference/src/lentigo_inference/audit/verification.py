"""Verifies the audit trail of a folder: every file of every series, within bounded memory."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from lentigo_inference.audit.chain import CHECKPOINT, Link
from lentigo_inference.audit.checks import ChainCheck, Finding
from lentigo_inference.audit.folder import AuditFile, files_of, is_held, series_folders
from lentigo_inference.audit.signing import Verifier

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


def verify(
    folder: Path, verifier: Verifier, heads: Collection[str] = ()
) -> tuple[list[SeriesReport], set[str]]:
    """Verify every series of a folder.

    Args:
        folder: of the trail.
        verifier: has the trusted keys.
        heads: digests of records that were the last ones once, kept elsewhere.

    Returns:
        The report of each series, and those of the heads that no series has.

    Raises:
        AuditFileError: the folder or a file cannot be read.
    """
    missing = set(heads)
    reports = [
        _verify_series(number, series, verifier, missing)
        for number, series in series_folders(folder)
    ]
    return reports, missing


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
            record = check.take(line.rstrip(b"\n"), following)
            records += 1
            opened = record if place == 0 else opened
            if place == 0 and before is not None:
                _check_join(check, notes, before, half, record)
        half, before = len(tail), file
        if opened is None or opened["kind"] != CHECKPOINT or opened.get("file") != file.number:
            text = f"{file.path.name} does not begin as file {file.number} of its series"
            check.blame("edited", check.link.seq if check.link else 0, text)
    check.finish()
    if files and not written and not check.closed:
        _blame_tail(check, files[-1], half)
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


def _blame_tail(check: ChainCheck, file: AuditFile, half: int) -> None:
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
