"""The instances that a query has found, kept beside the results.

An archive goes on receiving images while it is scored, and promises no order. So it is asked once:
each instance stands here once, in the order in which it was found, and a run that goes on reads
this list and not the archive's. It has UIDs and numbers of frames, and nothing of a patient.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lentigo_contract.system.files import is_full_disk
from lentigo_inference.errors import ResultFolderError

NAME: Final = "instances.sqlite3"

_TABLES: Final = """
    CREATE TABLE IF NOT EXISTS asked (
        sop_class TEXT PRIMARY KEY, received INTEGER NOT NULL, done INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS instances (
        number INTEGER PRIMARY KEY, sop_instance_uid TEXT NOT NULL UNIQUE,
        series_instance_uid TEXT NOT NULL, study_instance_uid TEXT NOT NULL, frames INTEGER NOT NULL
    );
"""
_ROWS_AT_ONCE: Final = 1_000

Instance = tuple[str, str, str, int]
"""UIDs of instance, series and study, and the number of frames; 0 for what is not read."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How far an archive was asked for a class.

    Attributes:
        received: instances that it has sent; the next page begins there.
        done: whether there are no more.
    """

    received: int = 0
    done: bool = False


class InstanceList:
    """The list of one run; any thread may read it."""

    def __init__(self, folder: Path) -> None:
        """Name the folder with the results; nothing is opened yet."""
        self._path = folder / NAME

    def begin(self) -> None:
        """Make the list unless it is there.

        Raises:
            ResultFolderError: it cannot be written.
        """
        with self._open() as database:
            database.executescript(_TABLES)

    def asked(self, sop_class: str) -> Asked:
        """Return how far the archive was asked for a class."""
        with self._open() as database:
            row = database.execute(
                "SELECT received, done FROM asked WHERE sop_class = ?", (sop_class,)
            ).fetchone()
        return Asked() if row is None else Asked(row[0], bool(row[1]))

    def add(self, sop_class: str, instances: Iterable[Instance], asked: Asked) -> int:
        """Keep a page and how far that is, in one step.

        Returns:
            How many of the instances were new.

        Raises:
            ResultFolderError: it cannot be written.
        """
        with self._open() as database, database:
            before = database.total_changes
            database.executemany(
                "INSERT OR IGNORE INTO instances (sop_instance_uid, series_instance_uid, "
                "study_instance_uid, frames) VALUES (?, ?, ?, ?)",
                instances,
            )
            new = database.total_changes - before
            database.execute(
                "INSERT OR REPLACE INTO asked VALUES (?, ?, ?)",
                (sop_class, asked.received, asked.done),
            )
        return new

    def clear(self) -> None:
        """Forget everything.

        Raises:
            ResultFolderError: it cannot be written.
        """
        with self._open() as database, database:
            database.execute("DELETE FROM asked")
            database.execute("DELETE FROM instances")

    def count(self) -> int:
        """Return how many instances are to be read."""
        with self._open() as database:
            (number,) = database.execute(
                "SELECT count(*) FROM instances WHERE frames > 0"
            ).fetchone()
        return int(number)

    def instances(self) -> Iterator[Instance]:
        """Give the instances that are to be read in their order, some of them in memory at a time.

        Raises:
            ResultFolderError: the list cannot be read.
        """
        last = 0
        while True:
            with self._open() as database:
                rows = database.execute(
                    "SELECT number, sop_instance_uid, series_instance_uid, study_instance_uid, "
                    "frames FROM instances WHERE frames > 0 AND number > ? ORDER BY number LIMIT ?",
                    (last, _ROWS_AT_ONCE),
                ).fetchall()
            if not rows:
                return
            for number, *instance in rows:
                last = number
                yield tuple(instance)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path)) as database:
                yield database
        except sqlite3.Error as error:
            full = "disk is full" in str(error) or is_full_disk(error)
            what = "its disk is full. Make room" if full else f"{error}. Name another folder"
            raise ResultFolderError(f"{self._path} cannot be used: {what}.") from error
