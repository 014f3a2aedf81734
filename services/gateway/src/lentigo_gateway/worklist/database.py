"""The tables of the work list, in SQLite.

It has UIDs, states, ids of answers and, until they are delivered, the answers themselves. It has no
image, and of a patient neither name nor number.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lentigo_gateway.errors import WorkListError

VERSION: Final = 2

_FIRST: Final = (
    """
    CREATE TABLE entries (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        sop_instance_uid TEXT NOT NULL,
        series_instance_uid TEXT NOT NULL,
        study_instance_uid TEXT NOT NULL,
        model_digest TEXT NOT NULL DEFAULT '',  -- empty until there is an answer
        locator TEXT NOT NULL,
        state TEXT NOT NULL,
        reason TEXT NOT NULL DEFAULT '',
        answers TEXT,                           -- JSON, until they are delivered
        archived INTEGER NOT NULL DEFAULT 0,    -- whether the archive has the results
        failures INTEGER NOT NULL DEFAULT 0,
        due REAL NOT NULL,                      -- seconds since 1970, as the two below
        found_at REAL NOT NULL,
        changed_at REAL NOT NULL,
        UNIQUE (sop_instance_uid, model_digest)
    ) STRICT
    """,
    "CREATE INDEX entries_by_due ON entries (state, due, id)",
    "CREATE INDEX entries_by_change ON entries (changed_at, id)",
    "CREATE TABLE positions (source TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT",
    "CREATE TABLE results (sop_instance_uid TEXT PRIMARY KEY) STRICT, WITHOUT ROWID",
)
_SECOND: Final = (
    """
    CREATE TABLE given (                        -- answers that were given, by their ids
        sop_instance_uid TEXT NOT NULL,
        frame INTEGER NOT NULL,                 -- 0 for an instance that has one only
        model_digest TEXT NOT NULL,
        answer_id TEXT NOT NULL,                -- of the service
        report_uid TEXT NOT NULL,               -- of the structured report that has it
        given_at REAL NOT NULL,
        diagnosis TEXT NOT NULL DEFAULT '',     -- what was confirmed; empty until it is
        confirmed_by TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (sop_instance_uid, frame, model_digest)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX given_by_report ON given (report_uid)",
    """
    CREATE TABLE confirmations (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        source TEXT NOT NULL,                   -- archive or fhir
        document TEXT NOT NULL,                 -- a SOP instance UID, or type and id of a resource
        version TEXT NOT NULL,                  -- of the resource
        locator TEXT NOT NULL,
        study_instance_uid TEXT NOT NULL,
        series_instance_uid TEXT NOT NULL,
        sop_instance_uid TEXT NOT NULL DEFAULT '',  -- of the image; empty until it is read
        frame INTEGER NOT NULL DEFAULT 0,
        diagnosis TEXT NOT NULL DEFAULT '',
        confirmed_by TEXT NOT NULL DEFAULT '',
        state TEXT NOT NULL,
        reason TEXT NOT NULL DEFAULT '',
        failures INTEGER NOT NULL DEFAULT 0,
        due REAL NOT NULL,
        found_at REAL NOT NULL,
        changed_at REAL NOT NULL,
        UNIQUE (source, document, version)
    ) STRICT
    """,
    "CREATE INDEX confirmations_by_due ON confirmations (state, due, id)",
)
# What brings a file of one version to the next.
_STEPS: Final = (_FIRST, _SECOND)


class Database:
    """One connection to the work list, for several threads.

    Attributes:
        guard: held while the connection is used.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, and make it if there is none.

        Raises:
            WorkListError: it cannot be opened or made, or is of a later release.
        """
        self.guard = threading.RLock()
        try:
            self._connection = sqlite3.connect(
                path, timeout=30, isolation_level=None, check_same_thread=False
            )
            self._connection.row_factory = sqlite3.Row
            version = self._prepare()
        except sqlite3.Error as error:
            raise WorkListError(
                f"The work list {path} cannot be opened: {error}. Check its folder, its owner and "
                "the space on its disk."
            ) from error
        if version > VERSION:
            self.close()
            raise WorkListError(f"The work list {path} is of a later release. Update the gateway.")

    def _prepare(self) -> int:
        """Make the tables that are not there yet, and return the version of the file."""
        connection = self._connection
        connection.execute("PRAGMA journal_mode = WAL")
        # A commit is on the disk before it returns, also if the machine then loses power.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        for statements in _STEPS[version:]:
            for statement in statements:
                connection.execute(statement)
            version += 1
            connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("COMMIT")
        return version

    def close(self) -> None:
        """Close the file."""
        with self.guard:
            self._connection.close()

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Return the rows of a query.

        Raises:
            WorkListError: the file cannot be read.
        """
        with self.guard:
            try:
                return self._connection.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise WorkListError(f"The work list cannot be read: {error}.") from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Change the file: all of it or, if anything fails, nothing.

        Raises:
            WorkListError: the file cannot be written, for example because the disk is full.
        """
        with self.guard:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                except BaseException:
                    self._connection.rollback()
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                if self._connection.in_transaction:
                    self._connection.rollback()
                raise WorkListError(
                    f"The work list cannot be written: {error}. Check the space on its disk."
                ) from error
