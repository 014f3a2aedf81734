"""Out-of-fold answers: what sister networks say about the images that they never saw.

A recipe with `folds` trains one network for each fold of the training lesions, on all other folds.
Together their answers cover every training image, so calibration and thresholds rest on thousands
of images and not on a small part that is kept back, and one more network learns from all of them
(cross-fitting; Stone, "Cross-Validatory Choice and Assessment of Statistical Predictions", JRSS-B
1974). The answers are those of sisters of the published network, not of itself.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_contract.labels import CODES
from lentigo_trainer.calibration.malignancy import fit_malignancy
from lentigo_trainer.calibration.out_of_distribution import fit_detector
from lentigo_trainer.calibration.temperature import calibrated, calibration_on
from lentigo_trainer.calibration.thresholds import Meaning
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.out_of_fold import (
    ANSWERS_NAME,
    OOD_SCORE,
    OutOfFold,
    read_answers,
    write_answers,
)
from lentigo_trainer.data.splits import Folds, TrainingRows, rows_without_fold
from lentigo_trainer.errors import DamagedCacheError, EvaluationReportError
from lentigo_trainer.metrics.arrays import FloatArray
from lentigo_trainer.models.classifier import feature_extractor
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import locked, read_arrays, write_whole
from lentigo_trainer.training.fit import TrainedNetwork, run_identity, train_network
from lentigo_trainer.training.work_folder import (
    EpochMetrics,
    keep_history,
    kept_history,
    require_same_run,
)
from lentigo_trainer.training.workers import ALONE, Workers

_BATCH: Final = 64


@dataclass(frozen=True, slots=True)
class OutOfFoldAnswers:
    """Calibrated out-of-fold answers, as `thresholds` takes them.

    Attributes:
        probabilities: float64 [n, 7], rows sum to 1.
        unlikeness: float32 [n], 0 and above; None where it is not known.
    """

    probabilities: FloatArray
    unlikeness: npt.NDArray[np.float32] | None


def calibrate_out_of_fold(
    answers: OutOfFold, labels: npt.NDArray[np.int64], described: str
) -> tuple[Meaning, OutOfFoldAnswers]:
    """Fit the calibration of the seven probabilities, and of malignancy, to out-of-fold answers.

    Args:
        answers: uncalibrated.
        labels: class of each of their images, [n].
        described: the answers, in words, for the manifest.

    Returns:
        What the probabilities of a network with this calibration mean: posteriors at the
        prevalence of these images. And the calibrated answers.

    Raises:
        MetricError: logits that are not numbers.
        EmptyClassError: no malignant or no benign image.
    """
    meaning, probabilities = calibrate_posteriors(answers.logits, labels, described)
    return meaning, OutOfFoldAnswers(probabilities, answers.unlikeness)


def calibrate_posteriors(
    logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], described: str
) -> tuple[Meaning, FloatArray]:
    """Fit what probabilities mean to answers for images that did not train the network.

    Args:
        logits: uncalibrated, [n, 7].
        labels: class of each image, [n]; every class is there.
        described: the answers, in words, for the manifest.

    Returns:
        What the probabilities of a network with this calibration mean: posteriors at the
        prevalence of these images. And the calibrated probabilities, [n, 7].

    Raises:
        MetricError: logits that are not numbers.
        EmptyClassError: no malignant or no benign image.
    """
    calibration = calibration_on(logits, labels, described)
    probabilities = np.asarray(calibrated(logits, calibration), np.float64)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    shares = np.bincount(labels, minlength=len(CODES)) / len(labels)
    meaning = Meaning(
        calibration,
        dict(zip(CODES, shares.tolist(), strict=True)),
        fit_malignancy(labels, probabilities, described),
    )
    return meaning, probabilities


def cross_fit(
    config: TrainingConfig,
    prepared: Prepared,
    rows: TrainingRows,
    folder: Path,
    progress: Progress,
    workers: Workers = ALONE,
) -> OutOfFold:
    """Train a network for each fold and collect the answers, also in a file of the folder.

    Finished folds are not trained again. With `config.out_of_fold` none is trained: its answers
    are taken.

    Args:
        config: how to train; its recipe has `folds`.
        prepared: the data set.
        rows: all training rows of the run.
        folder: the run's folder; each fold has one of its own in it.
        progress: shows how far each step is.
        workers: those who train it, this being the chief; the others call `help_cross_fit`.

    Raises:
        EvaluationReportError: the given answers are of other images or other folds.
        LentigoError: as `train_network` and `fit_detector`.
    """
    names = prepared.records["image_id"].to_numpy(str)
    if config.out_of_fold is not None:
        whole = _given(config.out_of_fold, names, rows.folds)
    else:
        for number in range(1, rows.folds.count + 1):
            fit_fold(config, prepared, rows, folder, number, progress, workers)
        answers = [
            _read(_answers_of(folder, number), int(np.count_nonzero(rows.folds.fold == number)))
            for number in range(1, rows.folds.count + 1)
        ]
        whole = _in_order(rows.folds, answers)
    write_answers(folder / ANSWERS_NAME, whole, names)
    return whole


def fit_fold(
    config: TrainingConfig,
    prepared: Prepared,
    rows: TrainingRows,
    folder: Path,
    number: int,
    progress: Progress,
    workers: Workers = ALONE,
) -> tuple[EpochMetrics, ...]:
    """Train the network that never sees one fold, and keep its answers for that fold.

    A finished fold is taken if it was trained by this recipe, with this seed, on these data, by
    this code; in which arithmetic does not matter. One without `run.json`, as when only its answers
    were copied, is taken too, and `progress` says so.

    Args:
        config: how to train.
        prepared: the data set.
        rows: all training rows of the run.
        folder: the run's folder.
        number: of the fold, from 1.
        progress: shows how far each step is.
        workers: those who train it, this being the chief.

    Returns:
        The metrics of every epoch so far: all of them, unless `config.pause_after` leaves some for
        later. Then there are no answers yet.

    Raises:
        WorkFolderError: the fold was made by another recipe, seed, data or computation.
        LentigoError: as `train_network` and `fit_detector`.
    """
    own = _answers_of(folder, number)
    with locked(own.parent):
        if workers.agree(own.is_file()):
            known = require_same_run(own.parent, _fold_identity(config, prepared))
            unknown = "" if known else "; it does not say by which recipe"
            progress.say(f"Fold {number} of {rows.folds.count} is finished{unknown}")
            return kept_history(own.parent)
        progress.say(f"Fold {number} of {rows.folds.count}")
        others = rows_without_fold(rows, prepared.labels, number)
        trained, logits = _train(config, prepared, others, own.parent, progress, workers)
        keep_history(own.parent, trained.history)
        if len(trained.history) < config.recipe.epochs:
            return trained.history
        network = trained.network
        detector = fit_detector(network, prepared.images, others.used.train, config.seed, progress)
        features = feature_extractor(network.whole, [detector.layer])
        score = tf.function(
            lambda batch: detector.of(features(tf.cast(batch, tf.float32), training=False))
        )
        held_out = others.tuning
        unlikeness = [
            score(prepared.images[held_out[start : start + _BATCH]]).numpy()
            for start in range(0, len(held_out), _BATCH)
        ]
        _write(own, logits, np.concatenate(unlikeness))
        # The weights of a fold have done their work, and five checkpoints are 200 MB.
        (own.parent / "checkpoint.npz").unlink(missing_ok=True)
        return trained.history


def _fold_identity(config: TrainingConfig, prepared: Prepared) -> dict[str, object]:
    identity = run_identity(config, prepared)
    # Another machine of a cluster may have computed the fold, in what arithmetic it has.
    return {key: value for key, value in identity.items() if key != "arithmetic"}


def help_cross_fit(
    config: TrainingConfig,
    prepared: Prepared,
    rows: TrainingRows,
    folder: Path,
    progress: Progress,
    workers: Workers,
) -> None:
    """Train this worker's part of every fold that the chief has not finished, see `cross_fit`.

    Raises:
        LentigoError: as `train_network`.
    """
    if config.out_of_fold is not None:
        return
    for number in range(1, rows.folds.count + 1):
        if not workers.agree(finished=False):
            progress.say(f"Fold {number} of {rows.folds.count}")
            others = rows_without_fold(rows, prepared.labels, number)
            own = _answers_of(folder, number).parent
            _train(config, prepared, others, own, progress, workers)


def _train(
    config: TrainingConfig,
    prepared: Prepared,
    rows: TrainingRows,
    folder: Path,
    progress: Progress,
    workers: Workers,
) -> tuple[TrainedNetwork, npt.NDArray[np.float32]]:
    trained = train_network(config, prepared, rows, folder, progress, workers)
    logits, _ = trained.validation_logits(_last_side(config.recipe))
    return trained, logits


def _given(file: Path, names: npt.NDArray[np.str_], folds: Folds) -> OutOfFold:
    found = read_answers(file, names)
    if not (np.array_equal(found.rows, folds.rows) and np.array_equal(found.fold, folds.fold)):
        raise EvaluationReportError(
            f"{file} has answers for other images or other folds than this run. Take the "
            f"{ANSWERS_NAME} of `lentigo-train fit --folds-only` by the same recipe on the same "
            "data, without --limit if this run has none."
        )
    return found


def _last_side(recipe: Recipe) -> int:
    """Return the size that a network learnt last, which it also answers best."""
    return recipe.fine_tuning.side_of(recipe.epochs) if recipe.fine_tuning else MODEL_SIDE


def _answers_of(folder: Path, number: int) -> Path:
    return folder / f"fold_{number}" / "answers.npz"


_Answers = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]
"""Logits [n, 7] and out-of-distribution scores [n] of one fold."""


def _write(
    file: Path, logits: npt.NDArray[np.float32], unlikeness: npt.NDArray[np.float32]
) -> None:
    write_whole(file, lambda opened: np.savez(opened, logits=logits, ood_score=unlikeness))


def _read(file: Path, count: int) -> _Answers:
    arrays = read_arrays(file, f"Delete {file.parent} to train this fold again.")
    logits = arrays.get("logits")
    # A fold of an earlier release has other scores, see `OOD_SCORE`.
    unlikeness = arrays.get(OOD_SCORE)
    fits = unlikeness is None or unlikeness.shape == (count,)
    if logits is None or logits.shape != (count, len(CODES)) or not fits:
        raise DamagedCacheError(
            f"{file} is for other images. Delete {file.parent} to train this fold again."
        )
    return logits, unlikeness


def _in_order(folds: Folds, answers: list[_Answers]) -> OutOfFold:
    logits = np.empty((len(folds.rows), len(CODES)), np.float32)
    unlikeness = np.empty(len(folds.rows), np.float32)
    known = True
    for number, (own_logits, own_unlikeness) in enumerate(answers, start=1):
        own = folds.fold == number
        logits[own] = own_logits
        if own_unlikeness is None:
            known = False
        else:
            unlikeness[own] = own_unlikeness
    return OutOfFold(folds.rows, folds.fold, logits, unlikeness if known else None)
