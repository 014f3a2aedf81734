"""What lesions turned out to be: documents that confirm a diagnosis, and answers they are about.

A confirmation is `found` in the archive, or comes `read` from the FHIR server; once the service was
`told`, and the report on the FHIR server is final, it is `done`. Each step is durable before the
next begins.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from lentigo_gateway.answers import Answer
from lentigo_gateway.errors import UnknownEntryError
from lentigo_gateway.worklist.database import Database
from lentigo_gateway.worklist.entries import Found

ConfirmationState = Literal["found", "read", "told", "done", "ignored", "refused", "parked"]
"""`ignored`: it confirms nothing, or nothing of ours; `refused`: what it confirms cannot be used;
`parked`: it failed too often, until somebody retries it."""

OPEN_CONFIRMATIONS: Final[tuple[ConfirmationState, ...]] = ("found", "read", "told")

Origin = Literal["archive", "fhir"]


@dataclass(frozen=True, slots=True)
class Given:
    """An answer that was given.

    Attributes:
        sop_instance_uid: of the image.
        frame: from 1; 0 for an instance that has one only.
        model_digest: of the version that answered.
        answer_id: `id` of the answer, by which the service knows it.
        diagnosis: what was confirmed; empty until it is.
        confirmed_by: how.
    """

    sop_instance_uid: str
    frame: int
    model_digest: str
    answer_id: str
    diagnosis: str
    confirmed_by: str

    @property
    def key(self) -> str:
        """What the FHIR resources of the answer are known by; see `lentigo_contract.fhir`."""
        frame = f"/{self.frame}" if self.frame else ""
        return f"{self.sop_instance_uid}{frame}/{self.model_digest}"


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What a document confirms: which diagnosis, of which image, and how it is known."""

    sop_instance_uid: str
    frame: int
    diagnosis: str
    confirmed_by: str


_NOTHING: Final = Confirmed("", 0, "", "")


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A document that may confirm a diagnosis.

    Attributes:
        id: its number, by which the log names it.
        source: where it is.
        document: which one it is there.
        locator: how to fetch it from the archive.
        study_instance_uid: of a structured report; empty for a resource.
        series_instance_uid: likewise.
        confirmed: what it confirms; None until it is read.
        state: what became of it.
        reason: why it is not done.
        failures: attempts that failed.
        changed_at: seconds since 1970.
    """

    id: int
    source: Origin
    document: str
    locator: str
    study_instance_uid: str
    series_instance_uid: str
    confirmed: Confirmed | None
    state: ConfirmationState
    reason: str
    failures: int
    changed_at: float

    @property
    def instance(self) -> Found:
        """The structured report in the archive."""
        return Found(self.document, self.series_instance_uid, self.study_instance_uid, self.locator)


class Confirmations:
    """The part of the work list that is about confirmed diagnoses; for several threads."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        """Use these tables; `clock` is seconds since 1970."""
        self._database = database
        self._clock = clock

    def answers_of(self, sop_instance_uid: str, frame: int) -> list[Given]:
        """Return the answers to a frame of an instance, one for each version that answered."""
        query = "SELECT * FROM given WHERE sop_instance_uid = ? AND frame = ? ORDER BY given_at"
        return [_given_of(row) for row in self._database.rows(query, sop_instance_uid, frame)]

    def frames_of(self, uids: Sequence[str]) -> list[tuple[str, int]]:
        """Return instance and frame of what was answered, by UIDs of images or of our reports."""
        marks = ", ".join("?" for _ in uids)
        rows = self._database.rows(
            "SELECT DISTINCT sop_instance_uid, frame FROM given "  # noqa: S608 - marks alone
            f"WHERE sop_instance_uid IN ({marks}) OR report_uid IN ({marks}) "
            "ORDER BY sop_instance_uid, frame",
            *uids,
            *uids,
        )
        return [(row["sop_instance_uid"], row["frame"]) for row in rows]

    def add_read(
        self,
        document: str,
        version: str,
        confirmed: Confirmed | None,
        refused: str = "",
    ) -> bool:
        """Put a resource of the FHIR server on the list; return whether it is new.

        Args:
            document: its type and id.
            version: its version.
            confirmed: what it confirms; None if that cannot be used.
            refused: why not.
        """
        with self._database.transaction() as connection:
            what = confirmed or _NOTHING
            return _insert(
                connection,
                self._clock(),
                source="fhir",
                document=document,
                version=version,
                locator="",
                study_instance_uid="",
                series_instance_uid="",
                sop_instance_uid=what.sop_instance_uid,
                frame=what.frame,
                diagnosis=what.diagnosis,
                confirmed_by=what.confirmed_by,
                state="refused" if confirmed is None else "read",
                reason=refused,
            )

    def claim(self) -> Confirmation | None:
        """Return one that is due; one thread works on them."""
        marks = ", ".join("?" for _ in OPEN_CONFIRMATIONS)
        rows = self._database.rows(
            f"SELECT * FROM confirmations WHERE state IN ({marks}) AND due <= ? "  # noqa: S608
            "ORDER BY due, id LIMIT 1",
            *OPEN_CONFIRMATIONS,
            self._clock(),
        )
        return _confirmation_of(rows[0]) if rows else None

    def note_read(self, number: int, confirmed: Confirmed) -> Confirmation:
        """Note what a document confirms."""
        self._change(
            number,
            state="read",
            reason="",
            sop_instance_uid=confirmed.sop_instance_uid,
            frame=confirmed.frame,
            diagnosis=confirmed.diagnosis,
            confirmed_by=confirmed.confirmed_by,
        )
        return self.get(number)

    def note_confirmed(self, answer: Given, diagnosis: str, confirmed_by: str) -> None:
        """Note that the service was told what an answer was confirmed to be."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE given SET diagnosis = ?, confirmed_by = ? "
                "WHERE sop_instance_uid = ? AND frame = ? AND model_digest = ?",
                (
                    diagnosis,
                    confirmed_by,
                    answer.sop_instance_uid,
                    answer.frame,
                    answer.model_digest,
                ),
            )

    def note_told(self, number: int) -> Confirmation:
        """Note that the service was told."""
        self._change(number, state="told", reason="")
        return self.get(number)

    def finish(self, number: int, state: ConfirmationState, reason: str = "") -> None:
        """Bring one to an end."""
        self._change(number, state=state, reason=reason)

    def postpone(self, number: int, delay_s: float, reason: str, failures: int) -> None:
        """Try one again after so many seconds; `failures` is their new number."""
        self._change(number, due=self._clock() + delay_s, reason=reason, failures=failures)

    def retry(self, number: int) -> Confirmation:
        """Work again on one that is finished.

        Raises:
            UnknownEntryError: there is none of this number, or it is being worked on.
        """
        found = self.get(number)
        if found.state in OPEN_CONFIRMATIONS:
            raise UnknownEntryError(
                f"Confirmation {number} is {found.state}: it is tried by itself."
            )
        if found.confirmed is None and found.source == "fhir":
            raise UnknownEntryError(
                f"Confirmation {number} could not be read. Let its author save it again."
            )
        state = "found" if found.confirmed is None else "read"
        self._change(number, state=state, reason="", failures=0, due=self._clock())
        return self.get(number)

    def get(self, number: int) -> Confirmation:
        """Return one.

        Raises:
            UnknownEntryError: there is none of this number.
        """
        rows = self._database.rows("SELECT * FROM confirmations WHERE id = ?", number)
        if not rows:
            raise UnknownEntryError(f"The work list has no confirmation {number}.")
        return _confirmation_of(rows[0])

    def latest(self, number: int) -> list[Confirmation]:
        """Return those that changed last."""
        query = "SELECT * FROM confirmations ORDER BY changed_at DESC, id DESC LIMIT ?"
        return [_confirmation_of(row) for row in self._database.rows(query, number)]

    def _change(self, number: int, **values: object) -> None:
        values["changed_at"] = self._clock()
        assignments = ", ".join(f"{name} = ?" for name in values)
        with self._database.transaction() as connection:
            connection.execute(
                f"UPDATE confirmations SET {assignments} WHERE id = ?",  # noqa: S608 - names of ours
                (*values.values(), number),
            )


def note_given(
    connection: sqlite3.Connection,
    sop_instance_uid: str,
    digest: str,
    answers: Sequence[Answer],
    report_uid: str,
    now: float,
) -> None:
    """Note by which ids answers were given; an answer that is given again takes its place."""
    connection.executemany(
        "INSERT OR REPLACE INTO given (sop_instance_uid, frame, model_digest, answer_id, "
        "report_uid, given_at) VALUES (?, ?, ?, ?, ?, ?)",
        [
            (sop_instance_uid, each.frame or 0, digest, str(each.prediction["id"]), report_uid, now)
            for each in answers
        ],
    )


def add_documents(connection: sqlite3.Connection, found: Sequence[Found], now: float) -> int:
    """Put structured reports on the list, each once; return how many are new."""
    return sum(
        _insert(
            connection,
            now,
            source="archive",
            document=each.sop_instance_uid,
            version="",
            locator=each.locator,
            study_instance_uid=each.study_instance_uid,
            series_instance_uid=each.series_instance_uid,
            state="found",
        )
        for each in found
    )


def forget_confirmations(connection: sqlite3.Connection, before: float) -> None:
    """Remove what was finished, and answers that were given, before a time."""
    connection.execute(
        "DELETE FROM confirmations "
        "WHERE state IN ('done', 'ignored', 'refused') AND changed_at < ?",
        (before,),
    )
    connection.execute("DELETE FROM given WHERE given_at < ?", (before,))


def _insert(connection: sqlite3.Connection, now: float, **values: object) -> bool:
    """Put a document on the list unless it is there; return whether it was not."""
    values |= {"due": now, "found_at": now, "changed_at": now}
    names, marks = ", ".join(values), ", ".join("?" for _ in values)
    cursor = connection.execute(
        f"INSERT OR IGNORE INTO confirmations ({names}) VALUES ({marks})",  # noqa: S608 - of ours
        tuple(values.values()),
    )
    return cursor.rowcount > 0


def _given_of(row: sqlite3.Row) -> Given:
    return Given(
        sop_instance_uid=row["sop_instance_uid"],
        frame=row["frame"],
        model_digest=row["model_digest"],
        answer_id=row["answer_id"],
        diagnosis=row["diagnosis"],
        confirmed_by=row["confirmed_by"],
    )


def _confirmation_of(row: sqlite3.Row) -> Confirmation:
    confirmed = None
    if row["sop_instance_uid"]:
        confirmed = Confirmed(
            row["sop_instance_uid"], row["frame"], row["diagnosis"], row["confirmed_by"]
        )
    return Confirmation(
        id=row["id"],
        source=row["source"],
        document=row["document"],
        locator=row["locator"],
        study_instance_uid=row["study_instance_uid"],
        series_instance_uid=row["series_instance_uid"],
        confirmed=confirmed,
        state=row["state"],
        reason=row["reason"],
        failures=row["failures"],
        changed_at=row["changed_at"],
    )
