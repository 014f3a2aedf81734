"""Train a baseline on the folds of the networks, and let each answer what it never saw.

Two classifiers answer about each image: one of the seven diagnoses, and one of the originals'
question, benign or malignant. The folds are those of `data.splits.folds_of`, by merged lesion; one
more classifier of each kind learns from all training images and answers the paper's validation
images. Each fold's answers are kept, so a run that was stopped goes on where it was.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from lentigo_contract.labels import CODES
from lentigo_trainer.baselines.classifiers.base import Fit, Floats, Labels
from lentigo_trainer.baselines.classifiers.ensemble import fit_ensemble
from lentigo_trainer.baselines.classifiers.genetic import fit_genetic
from lentigo_trainer.baselines.features.sets import System
from lentigo_trainer.data.splits import Folds
from lentigo_trainer.metrics.arrays import is_malignant
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import read_arrays, write_whole

Rows = npt.NDArray[np.intp]

FITS: Final[dict[System, Fit]] = {"xie": fit_ensemble, "aswin": fit_genetic}

VERSION: Final = 2
"""Change it whenever the same features give other answers, or answers are kept in another form:
kept answers are redone."""

_LEAST: Final = 1e-6
"""A probability below it counts as this, so that its logarithm is finite."""

_DIAGNOSIS, _MALIGNANCY = "diagnosis", "malignancy"


@dataclass(frozen=True, slots=True)
class Answers:
    """What both classifiers say about n images.

    Attributes:
        seven: probabilities of the diagnoses, float64 [n, 7].
        malignant: probability of malignancy by the classifier of the binary question, [n].
    """

    seven: Floats
    malignant: Floats

    @property
    def logits(self) -> npt.NDArray[np.float32]:
        """Logarithms of the seven probabilities, as networks give their answers, [n, 7]."""
        return np.log(np.maximum(self.seven, _LEAST)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Lessons:
    """What classifiers of one kind learn from.

    Attributes:
        name: of the kind; kept answers of another are not used.
        fit: fits one.
        values: features of every image of the data set, [images, k].
        labels: the class number of every image, [images].
        seed: of every classifier.
    """

    name: str
    fit: Fit
    values: Floats
    labels: Labels
    seed: int

    def identity(self, train: Rows, asked: Rows) -> str:
        """Return what the answers of a classifier depend on, as a digest."""
        digest = hashlib.sha256(f"{self.name} {VERSION} {self.seed}".encode())
        for array in (train, asked, self.labels[train], self.values[train], self.values[asked]):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def diagnoses(self, train: Rows, asked: Rows) -> Floats:
        """Learn the seven diagnoses from some images, and answer about others, [asked, 7]."""
        fitted = self.fit(self.values[train], self.labels[train], len(CODES), self.seed)
        return fitted.probabilities(self.values[asked])

    def malignancy(self, train: Rows, asked: Rows) -> Floats:
        """Learn benign or malignant from some images, and answer about others, [asked]."""
        target = is_malignant(self.labels[train]).astype(np.int64)
        fitted = self.fit(self.values[train], target, 2, self.seed)
        return fitted.probabilities(self.values[asked])[:, 1]


def cross_fit(
    lessons: Lessons, folds: Folds, validation: Rows, folder: Path, progress: Progress
) -> tuple[Answers, Answers]:
    """Train on all folds but one, and on all; return the out-of-fold and the validation answers.

    Args:
        lessons: what to learn from.
        folds: of the training images.
        validation: rows of the validation images.
        folder: where finished answers are kept.
        progress: shows the number of classifiers.

    Returns:
        In the order of `folds.rows`, and of `validation`.

    Raises:
        DamagedCacheError: kept answers cannot be read.
        StorageError: the disk is full or not writable.
    """

    def answers(train: Rows, asked: Rows, file: Path) -> Answers:
        identity = lessons.identity(train, asked)
        found = _read(file, identity)
        if found is None:
            found = {
                _DIAGNOSIS: lessons.diagnoses(train, asked),
                _MALIGNANCY: lessons.malignancy(train, asked),
            }
            _write(file, identity, found)
        return Answers(found[_DIAGNOSIS], found[_MALIGNANCY])

    seven = np.empty((len(folds.rows), len(CODES)))
    malignant = np.empty(len(folds.rows))
    total = folds.count + 1
    with progress.track(f"Training ({lessons.name})", total=total, unit="classifiers") as step:
        for number in range(1, folds.count + 1):
            inside = folds.fold == number
            found = answers(folds.rows[~inside], folds.rows[inside], _file_of(folder, number))
            seven[inside], malignant[inside] = found.seven, found.malignant
            step.advance()
        whole = answers(folds.rows, validation, folder / "validation.npz")
        step.advance()
    return Answers(seven, malignant), whole


def cross_fit_malignancy(
    lessons: Lessons, folds: Folds, folder: Path, progress: Progress
) -> Floats:
    """Train on all folds but one, with the binary question alone; return out-of-fold answers.

    Args:
        lessons: what to learn from.
        folds: of the training images.
        folder: where finished answers are kept.
        progress: shows the number of classifiers.

    Returns:
        Probability of malignancy in the order of `folds.rows`, [n].

    Raises:
        DamagedCacheError, StorageError: as `cross_fit`.
    """
    malignant = np.empty(len(folds.rows))
    total = folds.count
    with progress.track(f"Training ({lessons.name})", total=total, unit="classifiers") as step:
        for number in range(1, folds.count + 1):
            inside = folds.fold == number
            train, asked = folds.rows[~inside], folds.rows[inside]
            file, identity = _file_of(folder, number), lessons.identity(train, asked)
            found = _read(file, identity)
            if found is None:
                found = {_MALIGNANCY: lessons.malignancy(train, asked)}
                _write(file, identity, found)
            malignant[inside] = found[_MALIGNANCY]
            step.advance()
    return malignant


def _file_of(folder: Path, fold: int) -> Path:
    return folder / f"fold_{fold}.npz"


def _read(file: Path, identity: str) -> Mapping[str, Floats] | None:
    """Return kept answers, or None if there are none with this identity."""
    if not file.is_file():
        return None
    found = read_arrays(file, "Delete it to train this classifier again.")
    return found if str(found.pop("identity", None)) == identity else None


def _write(file: Path, identity: str, answers: Mapping[str, Floats]) -> None:
    arrays = {**answers, "identity": np.array(identity)}
    write_whole(file, lambda opened: np.savez(opened, allow_pickle=False, **arrays))
