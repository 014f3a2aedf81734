"""Images with a known truth, from a folder or archive and a truth table, or held back by HAM10000.

Nothing is decoded here, and no image is read before it is asked for.

The truth of a set of images, as the ISIC challenge publishes it.

ISIC 2018 Task 3: a CSV with the columns `image,MEL,NV,BCC,AKIEC,BKL,DF,VASC`, one row an image, its
name without suffix, and one 1.0 among seven numbers.
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lentigo_contract.labels import CODES, index_of
from lentigo_trainer.data.ham10000 import (
    ImageReader,
    Source,
    images_of,
    join_names,
    open_images,
    read_metadata,
    require_images,
)
from lentigo_trainer.data.provenance import digest_of
from lentigo_trainer.data.splits import Parts, Rows, parts_of, split
from lentigo_trainer.errors import SourceNotFoundError, TruthError
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
_HEAD: Final = ",".join((IMAGE, *CODE_OF_COLUMN))


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """What each image shows, in the file's order.

    Attributes:
        names: of the images, without suffix.
        labels: class numbers in the order of `labels.CODES`, int64 [n].
    """

    names: tuple[str, ...]
    labels: LabelArray


def read_ground_truth(path: Path) -> GroundTruth:
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
    return GroundTruth(names=tuple(names), labels=np.array(labels, np.int64))


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
                f"{path} has {what} {join_names(names)}. It needs the columns {_HEAD}, as in "
                "ISIC 2018 Task 3, and no other."
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
        raise TruthError(f"{path} has {len(items):,} {what}: {join_names(items)}.")


@dataclass(frozen=True, slots=True)
class ImageSet:
    """What a version is measured on.

    Attributes:
        description: the images in words.
        names: of the images, without suffix, [n].
        truth: class numbers, int64 [n].
        readers: of the encoded bytes, [n].
        people: HAM10000's metadata of these images, n rows in the same order; None if not known.
        metadata: all of HAM10000's metadata, as read; None if not known.
        unlisted: how many further images lie there that the truth does not list.
    """

    description: str
    names: tuple[str, ...]
    truth: LabelArray
    readers: tuple[ImageReader, ...]
    people: pd.DataFrame | None = None
    metadata: pd.DataFrame | None = None
    unlisted: int = 0

    @property
    def groups(self) -> NDArray[Any]:
        """What a bootstrap draws whole: the lesion of each image, or its name."""
        if self.people is None:
            return np.array(self.names)
        return self.people["lesion_id"].to_numpy()

    @property
    def digest(self) -> str:
        """SHA-256 over the names and diagnoses of the images, in any order, hex."""
        pairs = zip(self.names, self.truth, strict=True)
        return digest_of(f"{name} {CODES[label]}" for name, label in sorted(pairs))


@dataclass(frozen=True, slots=True)
class Part:
    """A part of HAM10000 that trains nobody.

    Attributes:
        description: its images in words.
        rows_of: their rows in the metadata.
    """

    description: str
    rows_of: Callable[[pd.DataFrame], Rows]


VALIDATION: Final = Part(
    "the paper's validation images of HAM10000", lambda records: split(records).validation
)
TUNING: Final = Part(
    "the tuning part of HAM10000's training lesions", lambda records: _parts(records).tuning
)
HOLD_OUT: Final = Part(
    "the hold-out of HAM10000's training lesions", lambda records: _parts(records).hold_out
)


def _parts(records: pd.DataFrame) -> Parts:
    return parts_of(split(records).train, records)


@contextmanager
def open_held_back(source: Source, part: Part = VALIDATION) -> Iterator[ImageSet]:
    """Open images of HAM10000 that were held back.

    Args:
        source: where HAM10000 lies.
        part: which of them.

    Raises:
        DatasetError: the data cannot be used.
    """
    records = read_metadata(source.metadata)
    people = records.iloc[part.rows_of(records)]
    with open_images(source) as readers:
        require_images(people, readers.keys(), source.metadata)
        yield ImageSet(
            description=part.description,
            names=tuple(people["image_id"]),
            truth=np.array([index_of(code) for code in people["dx"]], np.int64),
            readers=tuple(readers[name] for name in people["image_id"]),
            people=people,
            metadata=records,
        )


@contextmanager
def open_isic_set(images: Sequence[Path], truth: Path, metadata: Path | None) -> Iterator[ImageSet]:
    """Open a set of images in the format of ISIC 2018 Task 3.

    Args:
        images: folders or zip archives; the images may lie in folders within.
        truth: the table that `truth_table` describes.
        metadata: HAM10000's metadata, if these are images of it.

    Raises:
        TruthError: the table contradicts itself, the images or the metadata.
        DatasetError: images or metadata cannot be read.
    """
    table = read_ground_truth(truth)
    records = None if metadata is None else read_metadata(metadata)
    people = None
    if records is not None and metadata is not None:
        people = _people(table.names, table.labels, records, truth, metadata)
    for part in images:
        if not part.exists():
            raise SourceNotFoundError(
                f"There is no {part}. Give --images a folder or a zip archive of images."
            )
    where = " and ".join(map(str, images))
    with ExitStack() as stack:
        listed_names = set(table.names)
        readers: dict[str, ImageReader] = {}
        unlisted, twice = 0, []
        for name, reader in (found for part in images for found in images_of(part, stack)):
            if name not in listed_names:
                unlisted += 1
            elif name in readers:
                twice.append(name)
            readers.setdefault(name, reader)
        missing = [name for name in table.names if name not in readers]
        _refuse(
            truth,
            f"images that {where} does not hold as .jpg, .jpeg or .png (names stand without "
            "suffix)",
            missing,
        )
        _refuse(truth, f"images of which {where} holds several", twice)
        yield ImageSet(
            description=f"{', '.join(part.name for part in images)} with the truth of {truth.name}",
            names=table.names,
            truth=table.labels,
            readers=tuple(readers[name] for name in table.names),
            people=people,
            metadata=records,
            unlisted=unlisted,
        )


def _people(
    names: tuple[str, ...], labels: LabelArray, records: pd.DataFrame, truth: Path, metadata: Path
) -> pd.DataFrame:
    """Find each image in the metadata, which must not contradict the truth."""
    rows = records.set_index("image_id", drop=False)
    _refuse(truth, f"images that {metadata} lacks", [n for n in names if n not in rows.index])
    people = rows.loc[list(names)]
    pairs = zip(names, labels, people["dx"], strict=True)
    _refuse(
        truth,
        f"images with another diagnosis than in {metadata}",
        [f"{name} ({CODES[label]}, not {dx})" for name, label, dx in pairs if CODES[label] != dx],
    )
    return people


def _refuse(path: Path, what: str, items: list[str]) -> None:
    if items:
        raise TruthError(f"{path} lists {len(items):,} {what}: {join_names(items)}.")
