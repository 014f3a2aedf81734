"""Tables of a trail: answers as CSV, confirmed diagnoses by the image, and a version in the shadow.

Answers are streamed. Of feedback, the latest for each answer or image is kept in memory.
"""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TextIO

from lentigo_contract.labels import CODES
from lentigo_inference.audit.folder import files_of, records_of, series_folders
from lentigo_inference.audit.records import ANSWER, FEEDBACK, SHADOW

Record = dict[str, Any]

_COPIED: Final = (
    "time",
    "id",
    "request_id",
    "key",
    "client",
    "image_sha256",
    "model",
    "version",
    "manifest_sha256",
    "engine",
    "diagnosis",
    "malignancy",
    "threshold",
    "refer",
)
_LISTS: Final = ("reasons", "quality")
ANSWER_COLUMNS: Final = (
    *_COPIED,
    *_LISTS,
    *(f"probability_{code}" for code in CODES),
    "confirmed",
    "confirmed_by",
    "confirmed_at",
)
"""Columns of the table of answers."""

SHADOW_COLUMNS: Final = (
    "time",
    "answer",
    "image_sha256",
    "served_version",
    "served_diagnosis",
    "served_refer",
    "model",
    "version",
    "manifest_sha256",
    "engine",
    "diagnosis",
    "malignancy",
    "threshold",
    "refer",
    *_LISTS,
    *(f"probability_{code}" for code in CODES),
)
"""Columns of the table of what a version in the shadow said."""

ISIC_COLUMNS: Final = ("image", "label", "diagnosis_confirm_type", "said", "version")
"""Columns of the table of confirmed diagnoses; `lentigo-train import` reads the first three."""

# The words of the ISIC Archive for `diagnosis_confirm_type`.
_ISIC_WORDS: Final = {
    "histopathology": "histopathology",
    "follow-up": "serial imaging showing no change",
    "consensus": "single image expert consensus",
    "confocal": "confocal microscopy with consensus dermoscopy",
}


def records_in(folder: Path) -> Iterator[Record]:
    """Yield every record of a trail, series by series. Whether they are sound is not checked.

    Raises:
        AuditFileError: the folder or a file cannot be read.
    """
    for _number, series in series_folders(folder):
        for file in files_of(series):
            yield from records_of(file)


def export_answers(folder: Path, out: TextIO) -> int:
    """Write a row for each answer, with the feedback that counts; return how many there are."""
    confirmed = _latest_feedback(folder, lambda record: str(record.get("answer")))
    table = csv.writer(out, lineterminator="\n")
    table.writerow(ANSWER_COLUMNS)
    rows = 0
    for record in records_in(folder):
        if record["kind"] == ANSWER:
            table.writerow(_answer_row(record, confirmed.get(str(record.get("id")), {})))
            rows += 1
    return rows


def export_confirmed(folder: Path, out: TextIO) -> int:
    """Write a row for each image whose diagnosis was confirmed; return how many there are."""
    confirmed = _latest_feedback(folder, lambda record: str(record.get("image_sha256")))
    table = csv.writer(out, lineterminator="\n")
    table.writerow(ISIC_COLUMNS)
    for image, record in sorted(confirmed.items()):
        how = _ISIC_WORDS.get(str(record.get("confirmed_by")), "")
        label = record.get("diagnosis")
        table.writerow((image, label, how, record.get("said"), record.get("version")))
    return len(confirmed)


def export_shadow(folder: Path, out: TextIO) -> int:
    """Write a row for each image that a version in the shadow answered; return how many."""
    table = csv.writer(out, lineterminator="\n")
    table.writerow(SHADOW_COLUMNS)
    rows = 0
    for record in records_in(folder):
        if record["kind"] == SHADOW:
            table.writerow(_shadow_row(record))
            rows += 1
    return rows


def _latest_feedback(folder: Path, key: Callable[[Record], str]) -> dict[str, Record]:
    """Return the feedback that counts, by what it is about: the latest, in whichever series."""
    found: dict[str, Record] = {}
    for record in records_in(folder):
        if record["kind"] == FEEDBACK:
            about = key(record)
            # These times are texts of one form and one zone, so they sort by time.
            if about not in found or str(found[about]["time"]) <= str(record.get("time")):
                found[about] = record
    return found


def _shadow_row(record: Record) -> list[object]:
    served, probabilities = record.get("served") or {}, record.get("probabilities") or {}
    flat = {
        **record,
        **{f"served_{name}": value for name, value in served.items()},
        **{name: " ".join(record.get(name) or ()) for name in _LISTS},
        **{f"probability_{code}": value for code, value in probabilities.items()},
    }
    return [flat.get(name) for name in SHADOW_COLUMNS]


def _answer_row(record: Record, confirmed: Record) -> list[object]:
    probabilities = record.get("probabilities") or {}
    return [
        *(record.get(name) for name in _COPIED),
        *(" ".join(record.get(name) or ()) for name in _LISTS),
        *(probabilities.get(code) for code in CODES),
        confirmed.get("diagnosis"),
        confirmed.get("confirmed_by"),
        confirmed.get("time"),
    ]
