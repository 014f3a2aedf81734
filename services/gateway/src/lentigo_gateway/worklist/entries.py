"""An entry of the work list, and the answers in it."""

import json
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from lentigo_gateway.answers import Answer
from lentigo_gateway.errors import NotDicomError

ORTHANC: Final = "orthanc:"
RECEIVED: Final = "received:"
DICOMWEB: Final = "dicomweb"

State = Literal["waiting", "answered", "done", "refused", "gone", "parked"]
"""`waiting` for an answer; `answered` and waiting for delivery; `done`; `refused`, with a reason;
`gone` from the archive meanwhile; `parked` after too many failures, until somebody retries it."""

UID_PATTERN: Final = re.compile(r"(?=.{1,64}\Z)[0-9]+(?:\.[0-9]+)*")
"""A UID (DICOM PS3.5, 9.1)."""

OPEN: tuple[State, ...] = ("waiting", "answered")
"""States of entries that are worked on by themselves."""


@dataclass(frozen=True, slots=True)
class Found:
    """An instance that a source noticed.

    Attributes:
        locator: how to fetch it: `ORTHANC` and an id of Orthanc, `RECEIVED` and the name of a file,
            or `DICOMWEB`.

    Raises:
        NotDicomError: a UID is none.
    """

    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    locator: str

    def __post_init__(self) -> None:
        """Check the UIDs, which become parts of addresses."""
        uids = (self.sop_instance_uid, self.series_instance_uid, self.study_instance_uid)
        if not all(UID_PATTERN.fullmatch(uid) for uid in uids):
            raise NotDicomError("It does not say which instance it is.")


@dataclass(frozen=True, slots=True)
class Entry:
    """An instance in the work list.

    Attributes:
        id: number of the entry, by which the log names it.
        instance: the instance.
        model_digest: of the version that answered; empty before that.
        state: what became of it.
        reason: why it is not done; has nothing of the data set.
        answers: one for each frame; empty before there are any, and after delivery.
        archived: whether the archive has the results.
        failures: attempts that failed.
        due: when it is tried next, seconds since 1970.
        found_at: when it was noticed, seconds since 1970.
        changed_at: when it changed last, seconds since 1970.
    """

    id: int
    instance: Found
    model_digest: str
    state: State
    reason: str
    answers: tuple[Answer, ...]
    archived: bool
    failures: int
    due: float
    found_at: float
    changed_at: float


def entry_of(row: sqlite3.Row) -> Entry:
    """Return the entry in a row."""
    return Entry(
        id=row["id"],
        instance=Found(
            row["sop_instance_uid"],
            row["series_instance_uid"],
            row["study_instance_uid"],
            row["locator"],
        ),
        model_digest=row["model_digest"],
        state=row["state"],
        reason=row["reason"],
        answers=_answers_of(row["answers"]),
        archived=bool(row["archived"]),
        failures=row["failures"],
        due=row["due"],
        found_at=row["found_at"],
        changed_at=row["changed_at"],
    )


def answers_text(answers: Sequence[Answer]) -> str:
    """Return answers as they are kept."""
    return json.dumps(
        [
            {
                "prediction": answer.prediction,
                "received_at": answer.received_at.isoformat(),
                "frame": answer.frame,
            }
            for answer in answers
        ]
    )


def _answers_of(text: str | None) -> tuple[Answer, ...]:
    if text is None:
        return ()
    return tuple(
        Answer(
            prediction=each["prediction"],
            model=each["prediction"]["model"],
            received_at=datetime.fromisoformat(each["received_at"]).astimezone(UTC),
            frame=each["frame"],
        )
        for each in json.loads(text)
    )
