"""Ground truth as the ISIC challenge publishes it.

ISIC 2018 Task 3: a CSV with the columns `image,MEL,NV,BCC,AKIEC,BKL,DF,VASC`. Each row holds the
name of an image, without suffix, and one 1.0 among seven numbers.
"""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from lentigo_contract.labels import index_of
from lentigo_contract.wording import pluralize
from lentigo_trainer.data.ham10000 import join_names
from lentigo_trainer.errors import TruthError
from lentigo_trainer.metrics.arrays import LabelArray

IMAGE: Final = "image"
CODE_OF_COLUMN: Final = {
    "MEL": "mel",
    "NV": "nv",
    "BCC": "bcc",
    "AKIEC": "akiec",
    "BKL": "bkl",
    "DF": "df",
    "VASC": "vasc",
}
_HEADER: Final = ",".join((IMAGE, *CODE_OF_COLUMN))


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """The diagnosis of each image, in the file's order.

    Attributes:
        names: of the images, without suffix.
        labels: class numbers in the order of `labels.CODES`, int64 [n].
    """

    names: tuple[str, ...]
    labels: LabelArray


def read_ground_truth(path: Path) -> GroundTruth:
    """Read ground truth from a CSV; rows and columns may come in any order.

    Raises:
        TruthError: unreadable, a column missing or unknown, an image listed twice, a row with a
            missing value, with none or several of the seven diagnoses, or no row at all.
    """
    header, rows = _read(path)
    _check_columns(path, header)
    if not rows:
        raise TruthError(f"{path} lists no image. It needs one row per image, under {_HEADER}.")
    uneven = [line for line, row in rows if len(row) != len(header)]
    _refuse_rows(path, "row", f"without {len(header)} values", _lines(uneven))
    place = {name: header.index(name) for name in (IMAGE, *CODE_OF_COLUMN)}
    names = [row[place[IMAGE]].strip() for _, row in rows]
    _refuse_rows(
        path,
        "row",
        "without the name of an image",
        _lines([line for (line, _), name in zip(rows, names, strict=True) if not name]),
    )
    _refuse_rows(
        path, "image", "listed twice", [name for name, times in Counter(names).items() if times > 1]
    )
    marks = [
        _marks(path, name, [row[place[column]] for column in CODE_OF_COLUMN])
        for name, (_, row) in zip(names, rows, strict=True)
    ]
    for wrong, what in ((0, "without a diagnosis"), (2, "with more than one diagnosis")):
        _refuse_rows(
            path,
            "row",
            f"{what}; each needs a 1 for one of the seven and a 0 for the others",
            [name for name, of in zip(names, marks, strict=True) if min(sum(of), 2) == wrong],
        )
    numbers = [index_of(code) for code in CODE_OF_COLUMN.values()]
    labels = [numbers[of.index(1)] for of in marks]
    return GroundTruth(names=tuple(names), labels=np.array(labels, np.int64))


def _read(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header, and every row that is not empty with its line number."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            return header, [(reader.line_num, row) for row in reader if row]
    except OSError as error:
        raise TruthError(
            f"{path} cannot be read ({error.strerror or error}). Give --truth a CSV with the "
            f"columns {_HEADER}."
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise TruthError(
            f"{path} is not a CSV ({error}). It needs the columns {_HEADER}, as in ISIC 2018 "
            "Task 3."
        ) from error


def _check_columns(path: Path, header: Sequence[str]) -> None:
    wanted = (IMAGE, *CODE_OF_COLUMN)
    for what, names in (
        ("no column", [name for name in wanted if name not in header]),
        ("the unknown column", [name for name in header if name not in wanted]),
        ("twice the column", [name for name, times in Counter(header).items() if times > 1]),
    ):
        if names:
            raise TruthError(
                f"{path} has {what} {join_names(names)}. It needs the columns {_HEADER}, as in "
                "ISIC 2018 Task 3, and no other."
            )


def _marks(path: Path, name: str, cells: Sequence[str]) -> list[int]:
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError as error:
        raise TruthError(
            f"{path}: the row of {name} has a value that is not a number. Each is 0 or 1."
        ) from error
    if any(number not in (0.0, 1.0) for number in numbers):
        raise TruthError(f"{path}: the row of {name} has a value that is neither 0 nor 1.")
    return [int(number) for number in numbers]


def _lines(lines: Sequence[int]) -> list[str]:
    return [f"line {line}" for line in lines]


def _refuse_rows(path: Path, noun: str, what: str, items: Sequence[str]) -> None:
    if items:
        raise TruthError(f"{path} has {pluralize(len(items), noun)} {what}: {join_names(items)}.")
