"""Train a baseline on the folds of the networks, and let each answer what it never saw.

Two classifiers answer about each image: one of the seven diagnoses, and one of the originals'
question, benign or malignant. The folds are those of `data.splits.folds_of`, by merged lesion; one
more classifier of each kind learns from all training images and answers the paper's validation
images. Each fold's answers are kept, so a run that was stopped goes on where it was.
"""

import hashlib
import io
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
from lentigo_trainer.errors import DamagedCacheError
from lentigo_trainer.metrics.arrays import is_malignant
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import write_whole

FITS: Final[dict[System, Fit]] = {"xie": fit_ensemble, "aswin": fit_genetic}

VERSION: Final = 1
"""Change it whenever the same features give another classifier: kept answers are redone."""

_LEAST: Final = 1e-6
"""A probability below it counts as this, so that its logarithm is finite."""


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


def cross_fit(
    system: System,
    values: Floats,
    labels: Labels,
    folds: Folds,
    validation: npt.NDArray[np.intp],
    seed: int,
    folder: Path,
    progress: Progress,
) -> tuple[Answers, Answers]:
    """Train on all folds but one, and on all; return the out-of-fold and the validation answers.

    Args:
        system: whose classifier.
        values: features of every image of the data set, [images, k].
        labels: their class numbers, [images].
        folds: of the training images.
        validation: rows of the validation images.
        seed: of every classifier.
        folder: where finished answers are kept.
        progress: shows the number of classifiers.

    Returns:
        In the order of `folds.rows`, and of `validation`.

    Raises:
        DamagedCacheError: kept answers cannot be read.
        StorageError: the disk is full or not writable.
    """
    seven = np.empty((len(folds.rows), len(CODES)))
    malignant = np.empty(len(folds.rows))
    total = folds.count + 1
    with progress.track(f"Training ({system})", total=total, unit="classifiers") as step:
        for number in range(1, folds.count + 1):
            inside = folds.fold == number
            train, asked = folds.rows[~inside], folds.rows[inside]
            found = _kept(system, values, labels, train, asked, seed, folder / f"fold_{number}.npz")
            seven[inside], malignant[inside] = found.seven, found.malignant
            step.advance()
        whole = _kept(
            system, values, labels, folds.rows, validation, seed, folder / "validation.npz"
        )
        step.advance()
    return Answers(seven, malignant), whole


def _kept(
    system: System,
    values: Floats,
    labels: Labels,
    train: npt.NDArray[np.intp],
    asked: npt.NDArray[np.intp],
    seed: int,
    file: Path,
) -> Answers:
    """Read the answers of a classifier, or train it, ask it and keep them."""
    digest = hashlib.sha256(f"{system} {VERSION} {seed}".encode())
    for array in (train, asked, labels[train], values[train], values[asked]):
        digest.update(np.ascontiguousarray(array).tobytes())
    identity = digest.hexdigest()
    if file.is_file():
        found = _read(file, identity, len(asked))
        if found is not None:
            return found
    fit = FITS[system]
    known, target = values[train], labels[train]
    diagnosis = fit(known, target, len(CODES), seed)
    question = fit(known, is_malignant(target).astype(np.int64), 2, seed)
    answers = Answers(
        diagnosis.probabilities(values[asked]), question.probabilities(values[asked])[:, 1]
    )
    write_whole(
        file,
        lambda opened: np.savez(
            opened, seven=answers.seven, malignant=answers.malignant, identity=identity
        ),
    )
    return answers


def _read(file: Path, identity: str, count: int) -> Answers | None:
    try:
        with np.load(io.BytesIO(file.read_bytes())) as arrays:
            if str(arrays["identity"]) != identity:
                return None
            seven, malignant = arrays["seven"], arrays["malignant"]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise DamagedCacheError(
            f"{file} cannot be read. Delete it to train this classifier again."
        ) from error
    if seven.shape != (count, len(CODES)) or malignant.shape != (count,):
        raise DamagedCacheError(f"{file} does not fit. Delete it to train this classifier again.")
    return Answers(seven, malignant)
