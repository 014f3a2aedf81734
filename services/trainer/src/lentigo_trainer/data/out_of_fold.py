"""Out-of-fold answers: what networks say about the images that they never saw, and their file.

`calibration.out_of_fold` says how they are made. A file of them outlives the machine that trained
the networks.
"""

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from lentigo_contract.labels import CODES
from lentigo_trainer.errors import EvaluationReportError
from lentigo_trainer.system.storage import write_whole

ANSWERS_NAME: Final = "out-of-fold.csv.gz"
"""The file with the answers, in the folder of a run with folds."""

OOD_SCORE: Final = "ood_score"
"""The column of the out-of-distribution scores. Earlier releases called it `unlikeness` and scored
by the whole covariance. A limit on those scores does not hold for a network of this release, so
they are not read."""


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """Answers for every training image, each from a network that never saw its lesion.

    Attributes:
        rows: of the data set, [n], ascending.
        fold: number of the fold that each image is in, [n], from 1.
        logits: float32 [n, 7], uncalibrated.
        unlikeness: out-of-distribution score, float32 [n], 0 and above; None where it is not
            known.
    """

    rows: npt.NDArray[np.intp]
    fold: npt.NDArray[np.intp]
    logits: npt.NDArray[np.float32]
    unlikeness: npt.NDArray[np.float32] | None


def write_answers(file: Path, answers: OutOfFold, names: npt.NDArray[np.str_]) -> None:
    """Write out-of-fold answers to a compressed CSV file; the same answers give the same bytes.

    It has a row per image: its name, its fold, seven logits to four decimals and, if
    it is known, its out-of-distribution score; for 9,000 images about 250 kB.

    Args:
        file: ends in `.csv.gz`.
        answers: of n images.
        names: of every image of the data set.

    Raises:
        StorageError: the disk is full or not writable.
    """
    table = pd.DataFrame(answers.logits, columns=list(CODES)).round(4)
    table.insert(0, "image_id", names[answers.rows])
    table.insert(1, "fold", answers.fold)
    if answers.unlikeness is not None:
        table[OOD_SCORE] = answers.unlikeness.round(3)
    # Without the time of writing, so that the bytes are reproducible.
    packed = gzip.compress(table.to_csv(index=False, lineterminator="\n").encode(), mtime=0)
    write_whole(file, lambda opened: opened.write(packed))


def read_answers(file: Path, names: npt.NDArray[np.str_]) -> OutOfFold:
    """Read what `write_answers` wrote.

    Args:
        file: the CSV file.
        names: of every image of the data set.

    Raises:
        EvaluationReportError: the file cannot be read, or is not about images of the data set.
    """
    columns = {"image_id": str, "fold": np.int64} | dict.fromkeys([*CODES, OOD_SCORE], float)
    try:
        table = pd.read_csv(file, usecols=lambda name: name in columns, dtype=columns)
        if missing := columns.keys() - {OOD_SCORE} - set(table.columns):
            raise ValueError(f"it has no column {min(missing)}")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise EvaluationReportError(
            f"{file} does not hold out-of-fold answers ({error}). A run with folds writes them to "
            f"{ANSWERS_NAME} in its folder."
        ) from error
    row_of = {name: row for row, name in enumerate(names)}
    unknown = [name for name in table["image_id"] if name not in row_of]
    if unknown or table["image_id"].duplicated().any() or table.isna().any(axis=None):
        what = (
            f"images that the data set lacks, such as {unknown[0]}"
            if unknown
            else "gaps or doubles"
        )
        raise EvaluationReportError(f"{file} has {what}. Take the file of a run on this data set.")
    rows = np.array([row_of[name] for name in table["image_id"]], np.intp)
    order = np.argsort(rows)
    return OutOfFold(
        rows=rows[order],
        fold=table["fold"].to_numpy(np.intp)[order],
        logits=table[list(CODES)].to_numpy(np.float32)[order],
        unlikeness=table[OOD_SCORE].to_numpy(np.float32)[order] if OOD_SCORE in table else None,
    )
