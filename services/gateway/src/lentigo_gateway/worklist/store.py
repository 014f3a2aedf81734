"""The work list on the disk: every change is durable when its method returns.

An instance is answered once by each version of the model: an entry is unique by SOP instance UID
and digest. What is being worked on is known to this process alone, so a crash leaves no entry
behind that nobody works on; the lock on the folder sees to it that there is one such process. An
empty file for each such entry tells the next process what the crash interrupted. These files are
not flushed: they are for crashes of the program, and the machine's say nothing of an instance.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from lentigo_gateway.answers import Answer
from lentigo_gateway.errors import UnknownEntryError, WorkListError, WorkListInUseError
from lentigo_gateway.worklist.confirmations import (
    Confirmations,
    add_documents,
    forget_confirmations,
    note_given,
)
from lentigo_gateway.worklist.database import Database
from lentigo_gateway.worklist.entries import OPEN, Entry, Found, State, answers_text, entry_of
from lentigo_gateway.worklist.intake import REOPEN, add_instance

_DATABASE: Final = "worklist.sqlite3"
_LOCK: Final = "lock"
_MARKS: Final = "working"
# Others of this machine have no business with it.
_FOLDER_MODE: Final = 0o700


class WorkList:
    """The work list, for several threads.

    Attributes:
        folder: where it lies.
        confirmations: its part about confirmed diagnoses.
    """

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        """Open the work list.

        Args:
            folder: where it lies; made if it is not there, but not the folders above it.
            clock: seconds since 1970.

        Raises:
            WorkListError: it cannot be opened.
        """
        try:
            folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
            (folder / _MARKS).mkdir(mode=_FOLDER_MODE, exist_ok=True)
        except OSError as error:
            raise WorkListError(f"The folder {folder} cannot be made: {error.strerror}.") from error
        self.folder = folder
        self._clock = clock
        self._database = Database(folder / _DATABASE)
        self._more = threading.Condition(self._database.guard)
        self._claimed: set[int] = set()
        self.confirmations = Confirmations(self._database, clock)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the one process that works on the list.

        Raises:
            WorkListInUseError: another one does.
        """
        descriptor = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise WorkListInUseError(
                    f"Another gateway works on {self.folder}. Stop it, or name another folder."
                ) from error
            yield
        finally:
            os.close(descriptor)

    # --- what sources do ---

    def add(
        self,
        found: Sequence[Found],
        position: tuple[str, int] | None = None,
        *,
        again: bool = True,
        reports: Sequence[Found] = (),
    ) -> int:
        """Put instances on the list, and with them how far a source has read.

        An instance that is on the list and not finished stays there once; a result of our own is
        left out; what was gone from the archive and is back is worked on again.

        Args:
            found: the instances.
            position: name of the source and its new position.
            again: whether an instance that is finished goes on the list again. One that is done is
                then answered if the model has changed. False is for a source that sees the same
                instances at every look.
            reports: structured reports by others, which may confirm a diagnosis.

        Returns:
            How many there are to work on that were not before.
        """
        now, added = self._clock(), 0
        with self._database.transaction() as connection:
            for each in found:
                added += add_instance(connection, each, now, again=again)
            added += add_documents(connection, reports, now)
            if position is not None:
                connection.execute(
                    "INSERT INTO positions VALUES (?, ?) ON CONFLICT (source) "
                    "DO UPDATE SET position = excluded.position",
                    position,
                )
            if added:
                self._more.notify_all()
        return added

    def position(self, source: str) -> int | None:
        """Return how far a source has read; None if it never has."""
        rows = self._database.rows("SELECT position FROM positions WHERE source = ?", source)
        return int(rows[0]["position"]) if rows else None

    def is_result(self, sop_instance_uid: str) -> bool:
        """Return whether an instance is a result of ours."""
        query = "SELECT 1 FROM results WHERE sop_instance_uid = ?"
        return bool(self._database.rows(query, sop_instance_uid))

    # --- what workers do ---

    def claim(self, *, states: Collection[State] = OPEN, archived: bool = True) -> Entry | None:
        """Return an entry that is due and that nobody works on, the longest due first.

        Args:
            states: of the entries to look at.
            archived: whether to look at those whose results the archive has, too.

        Raises:
            WorkListError: the work list cannot be read or written.
        """
        with self._database.guard:
            marks = ", ".join("?" for _ in states)
            taken = ", ".join(str(number) for number in sorted(self._claimed))
            rows = self._database.rows(
                f"SELECT * FROM entries WHERE state IN ({marks}) AND due <= ? "  # noqa: S608
                f"AND archived <= ? AND id NOT IN ({taken}) ORDER BY due, id LIMIT 1",
                *states,
                self._clock(),
                int(archived),
            )
            if not rows:
                return None
            entry = entry_of(rows[0])
            self._mark(entry.id)
            self._claimed.add(entry.id)
            return entry

    def release(self, entry: Entry) -> None:
        """Let others claim an entry again."""
        with self._database.guard:
            self._claimed.discard(entry.id)
            self._unmark(entry.id)

    def interrupted(self) -> list[Entry]:
        """Return the open entries that were being worked on when the last process ended; once."""
        names = [mark.name for mark in (self.folder / _MARKS).iterdir()]
        numbers = sorted(int(name) for name in names if name.isdecimal())
        found = []
        for number in numbers:
            self._unmark(number)
            with suppress(UnknownEntryError):
                found.append(self.get(number))
        return [entry for entry in found if entry.state in OPEN]

    def wait(self, longest_s: float) -> None:
        """Wait until an instance is added, at most so long."""
        with self._more:
            self._more.wait(longest_s)

    def wake(self) -> None:
        """End every `wait`."""
        with self._more:
            self._more.notify_all()

    def is_answered(self, entry: Entry, digest: str) -> bool:
        """Return whether this version answered the same instance in another entry."""
        return bool(
            self._database.rows(
                "SELECT 1 FROM entries WHERE sop_instance_uid = ? AND model_digest = ? AND id <> ?",
                entry.instance.sop_instance_uid,
                digest,
                entry.id,
            )
        )

    def answer(
        self, entry: Entry, digest: str, answers: Sequence[Answer], results: Sequence[str]
    ) -> Entry | None:
        """Keep the answers to an instance, and the UIDs of the results that they will become.

        The structured report is the first of the results.

        Returns:
            The entry as it is now; None if this version has answered the instance already, and
            then the entry is removed.
        """
        with self._database.transaction() as connection:
            try:
                self._change(
                    connection,
                    entry,
                    state="answered",
                    model_digest=digest,
                    answers=answers_text(answers),
                    reason="",
                )
            except sqlite3.IntegrityError:
                connection.execute("DELETE FROM entries WHERE id = ?", (entry.id,))
                return None
            connection.executemany(
                "INSERT OR IGNORE INTO results VALUES (?)", [(uid,) for uid in results]
            )
            uid = entry.instance.sop_instance_uid
            note_given(connection, uid, digest, answers, next(iter(results), ""), self._clock())
        return self.get(entry.id)

    def drop(self, entry: Entry) -> None:
        """Remove an entry: its instance is answered already."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM entries WHERE id = ?", (entry.id,))

    def note_archived(self, entry: Entry) -> None:
        """Note that the archive has the results."""
        with self._database.transaction() as connection:
            self._change(connection, entry, archived=1)

    def finish(self, entry: Entry, state: State, reason: str = "") -> None:
        """Bring an entry to an end: `done`, `refused`, `gone` or `parked`.

        The answers stay with a parked one alone, so that they can still be delivered.
        """
        changes: dict[str, object] = {"state": state, "reason": reason}
        if state != "parked":
            changes["answers"] = None
        with self._database.transaction() as connection:
            self._change(connection, entry, **changes)

    def postpone(self, entry: Entry, delay_s: float, reason: str, *, failed: bool) -> None:
        """Try an entry again later.

        Args:
            entry: the entry.
            delay_s: seconds from now.
            reason: why.
            failed: whether the attempt counts as a failure of this instance.
        """
        due, failures = self._clock() + delay_s, entry.failures + int(failed)
        with self._database.transaction() as connection:
            self._change(connection, entry, due=due, reason=reason, failures=failures)

    # --- what operators do ---

    def counts(self) -> dict[str, int]:
        """Return the number of entries in each state that has any."""
        query = "SELECT state, COUNT(*) AS number FROM entries GROUP BY state ORDER BY state"
        return {row["state"]: row["number"] for row in self._database.rows(query)}

    def get(self, number: int) -> Entry:
        """Return an entry.

        Raises:
            UnknownEntryError: there is none of this number.
        """
        rows = self._database.rows("SELECT * FROM entries WHERE id = ?", number)
        if not rows:
            raise UnknownEntryError(f"The work list has no entry {number}.")
        return entry_of(rows[0])

    def latest(self, number: int, state: State | None = None) -> list[Entry]:
        """Return the entries that changed last, of one state or of all."""
        query = (
            "SELECT * FROM entries WHERE ?1 IS NULL OR state = ?1 "
            "ORDER BY changed_at DESC, id DESC LIMIT ?2"
        )
        return [entry_of(row) for row in self._database.rows(query, state, number)]

    def retry(self, number: int) -> Entry:
        """Work on a finished entry again, with no failure counted.

        One that is parked with its answers is delivered. Any other is answered anew, also one that
        is done: its results are the same objects, for an archive that has lost them.

        Raises:
            UnknownEntryError: there is none of this number, or it is being worked on.
        """
        entry = self.get(number)
        if entry.state in OPEN:
            raise UnknownEntryError(f"Entry {number} is {entry.state}: it is tried by itself.")
        now = self._clock()
        with self._database.transaction() as connection:
            if entry.answers:
                self._change(connection, entry, state="answered", due=now, reason="", failures=0)
            else:
                connection.execute(REOPEN, (entry.instance.locator, now, now, entry.id))
            self._more.notify_all()
        return self.get(number)

    def forget(self, keep_s: float) -> int:
        """Remove entries that were finished longer ago than that; return how many.

        Parked ones stay: somebody has to look at them.
        """
        before = self._clock() - keep_s
        with self._database.transaction() as connection:
            forget_confirmations(connection, before)
            return connection.execute(
                "DELETE FROM entries WHERE state IN ('done', 'refused', 'gone') AND changed_at < ?",
                (before,),
            ).rowcount

    def locators(self, prefix: str) -> set[str]:
        """Return the locators of entries that are open or parked, if they begin so."""
        query = (
            "SELECT locator FROM entries WHERE state IN ('waiting', 'answered', 'parked') "
            "AND substr(locator, 1, length(?1)) = ?1"
        )
        return {row["locator"] for row in self._database.rows(query, prefix)}

    def _mark(self, number: int) -> None:
        try:
            (self.folder / _MARKS / str(number)).touch(mode=0o600)
        except OSError as error:
            raise WorkListError(
                f"The work list cannot be written: {error.strerror}. Check the space on its disk."
            ) from error

    def _unmark(self, number: int) -> None:
        with suppress(OSError):
            (self.folder / _MARKS / str(number)).unlink()

    def _change(self, connection: sqlite3.Connection, entry: Entry, **values: object) -> None:
        values["changed_at"] = self._clock()
        assignments = ", ".join(f"{name} = ?" for name in values)
        connection.execute(
            f"UPDATE entries SET {assignments} WHERE id = ?",  # noqa: S608 - names of ours
            (*values.values(), entry.id),
        )
