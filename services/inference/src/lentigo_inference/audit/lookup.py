"""Finds an answer by its id, in all series of a folder and within bounded memory.

An id is a UUID of version 7: it has the time. That names the one or two files of each series that
can hold the answer, and only these are read. So feedback may go to another instance than the one
that answered, as long as both use one folder.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from lentigo_inference.audit.chain import parse, seconds_of
from lentigo_inference.audit.folder import AuditFile, end_of, files_of, series_folders
from lentigo_inference.audit.records import ANSWER
from lentigo_inference.errors import AuditFileError

# Seconds between the making of an id and its record: more than any time limit of a request, in
# most cases milliseconds. Before it lies what a clock may be corrected by within a file.
_LATER_S: Final = 3600.0
_EARLIER_S: Final = 5.0


class AnswerFinder:
    """Finds answers, one at a time, so that nobody keeps the disk busy with ids of no answer."""

    def __init__(self, folder: Path) -> None:
        """Prepare to search the folder of a trail."""
        self._folder = folder
        self._turn = asyncio.Lock()
        # When each closed file ended: a few thousand numbers after years.
        self._ended: dict[Path, float] = {}

    async def find(self, answer_id: UUID) -> dict[str, Any] | None:
        """Return the record of an answer; None if there is none.

        Raises:
            AuditFileError: the folder cannot be read.
        """
        async with self._turn:
            found = await asyncio.to_thread(self.search, answer_id)
        return None if found is None else found[1]

    def search(self, answer_id: UUID) -> tuple[AuditFile, dict[str, Any]] | None:
        """Return the record of an answer and the file that has it, as `find` does; blocks."""
        for file in self._candidates(answer_id):
            record = _answer_in(file, str(answer_id))
            if record is not None:
                return file, record
        return None

    def _candidates(self, answer_id: UUID) -> list[AuditFile]:
        """Return the files that can hold the answer, those that began last first."""
        if answer_id.version != 7:
            return []
        at = (answer_id.int >> 80) / 1000
        found = [
            file
            for _number, series in series_folders(self._folder)
            for file, is_last in _with_last(files_of(series))
            if file.started <= at + _LATER_S and at - _EARLIER_S <= self._end(file, written=is_last)
        ]
        return sorted(found, key=lambda file: file.started, reverse=True)

    def _end(self, file: AuditFile, *, written: bool) -> float:
        """Return when a file ended; infinite for one that may still be written."""
        if file.path not in self._ended:
            try:
                end = end_of(file.path)
            except AuditFileError:
                return float("inf")
            if written and not end.closed:
                return float("inf")
            self._ended[file.path] = seconds_of({"time": end.time})
        return self._ended[file.path]


def _with_last(files: list[AuditFile]) -> list[tuple[AuditFile, bool]]:
    return [(file, file is files[-1]) for file in files]


def records_about(folder: Path, answer_id: UUID, kind: str) -> list[dict[str, Any]]:
    """Return all records of a kind about an answer, from every series, by their times.

    Args:
        folder: of the trail.
        answer_id: of the answer.
        kind: such as FEEDBACK or SHADOW.

    Raises:
        AuditFileError: the folder or a file cannot be read.
    """
    found = [
        record
        for _number, series in series_folders(folder)
        for file in files_of(series)
        for record in _holding(file, f'"answer":"{answer_id}"')
        if record["kind"] == kind and record.get("answer") == str(answer_id)
    ]
    return sorted(found, key=lambda record: str(record.get("time")))


def _answer_in(file: AuditFile, answer_id: str) -> dict[str, Any] | None:
    for record in _holding(file, f'"id":"{answer_id}"'):
        if record["kind"] == ANSWER and record.get("id") == answer_id:
            return record
    return None


def _holding(file: AuditFile, text: str) -> Iterator[dict[str, Any]]:
    """Yield the records of a file whose line has a text; looking for it is faster than parsing."""
    needle = text.encode("ascii")
    for line in file.lines():
        record = parse(line) if needle in line else None
        if record is not None:
            yield record
