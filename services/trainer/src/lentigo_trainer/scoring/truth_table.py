"""The truth of a set of images, as the ISIC challenge publishes it.

ISIC 2018 Task 3: a CSV with the columns `image,MEL,NV,BCC,AKIEC,BKL,DF,VASC`, one row an image, its
name without suffix, and one 1.0 among seven numbers.
"""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from lentigo_contract.errors import TruthError
from lentigo_contract.labels import index_of
from lentigo_trainer.answers import LabelArray
from lentigo_trainer.data.ham10000 import listed

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
_HEAD: Final = ",".join((IMAGE, *CODE_OF_COLUMN))


@dataclass(frozen=True, slots=True)
class TruthTable:
    """What each image shows, in the file's order.

    Attributes:
        names: of the images, without suffix.
        labels: class numbers in the order of `labels.CODES`, int64 [n].
    """

    names: tuple[str, ...]
    labels: LabelArray


def read_truth(path: Path) -> TruthTable:
    """Read a truth table; rows and columns may come in any order.

    Raises:
        TruthError: unreadable, a column missing or unknown, an image listed twice, a row with a
            missing value, with none or several of the seven diagnoses, or no row at all.
    """
    header, rows = _read(path)
    _check_columns(path, header)
    if not rows:
        raise TruthError(f"{path} lists no image. It needs a row for each, under {_HEAD}.")
    uneven = [line for line, row in rows if len(row) != len(header)]
    _refuse_rows(path, f"rows without {len(header)} values", _lines(uneven))
    place = {name: header.index(name) for name in (IMAGE, *CODE_OF_COLUMN)}
    names = [row[place[IMAGE]].strip() for _, row in rows]
    _refuse_rows(
        path,
        "rows that name no image",
        _lines([line for (line, _), name in zip(rows, names, strict=True) if not name]),
    )
    _refuse_rows(
        path, "images listed twice", [name for name, times in Counter(names).items() if times > 1]
    )
    marks = [
        _marks(path, name, [row[place[column]] for column in CODE_OF_COLUMN])
        for name, (_, row) in zip(names, rows, strict=True)
    ]
    for wrong, what in ((0, "without a diagnosis"), (2, "with more than one diagnosis")):
        _refuse_rows(
            path,
            f"rows {what}; each needs a 1 for one of the seven and a 0 for the others",
            [name for name, of in zip(names, marks, strict=True) if min(sum(of), 2) == wrong],
        )
    numbers = [index_of(code) for code in CODE_OF_COLUMN.values()]
    labels = [numbers[of.index(1)] for of in marks]
    return TruthTable(names=tuple(names), labels=np.array(labels, np.int64))


def _read(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Give the head and, with its line, every row that is not empty."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            return header, [(reader.line_num, row) for row in reader if row]
    except OSError as error:
        raise TruthError(
            f"{path} cannot be read ({error.strerror or error}). Give --truth a CSV with the "
            f"columns {_HEAD}."
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise TruthError(
            f"{path} is no CSV ({error}). It needs the columns {_HEAD}, as in ISIC 2018 Task 3."
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
                f"{path} has {what} {listed(names)}. It needs the columns {_HEAD}, as in ISIC 2018 "
                "Task 3, and no other."
            )


def _marks(path: Path, name: str, cells: Sequence[str]) -> list[int]:
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError as error:
        raise TruthError(
            f"{path}: the row of {name} has a value that is no number. Each is 0 or 1."
        ) from error
    if any(number not in (0.0, 1.0) for number in numbers):
        raise TruthError(f"{path}: the row of {name} has a value that is neither 0 nor 1.")
    return [int(number) for number in numbers]


def _lines(lines: Sequence[int]) -> list[str]:
    return [f"line {line}" for line in lines]


def _refuse_rows(path: Path, what: str, items: Sequence[str]) -> None:
    if items:
        raise TruthError(f"{path} has {len(items):,} {what}: {listed(items)}.")
