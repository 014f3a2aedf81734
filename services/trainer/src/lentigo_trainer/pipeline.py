"""A training run, top to bottom: train, calibrate, export, evaluate, choose thresholds, describe.

`train` is the whole story; each step is one call. A killed run resumes with the step it was in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lentigo_contract.manifest.probabilities import Calibration
from lentigo_trainer.calibration.cross_validation import measure_out_of_fold
from lentigo_trainer.calibration.out_of_distribution import MahalanobisDetector
from lentigo_trainer.calibration.out_of_fold import calibrate_out_of_fold, cross_fit, help_cross_fit
from lentigo_trainer.calibration.temperature import UNCALIBRATED, calibration_on
from lentigo_trainer.calibration.thresholds import Meaning, ThresholdBasis
from lentigo_trainer.candidate import (
    TUNING_SET,
    LiteRTFiles,
    Origin,
    complete_candidate,
    describe_candidate,
    export_candidate,
)
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.duplicates.known import merged_lesions
from lentigo_trainer.data.extra.training_images import open_extra_images
from lentigo_trainer.data.out_of_fold import ANSWERS_NAME, OutOfFold
from lentigo_trainer.data.splits import TrainingRows, choose_rows
from lentigo_trainer.errors import RecipeError
from lentigo_trainer.evaluation.summary import Evaluation
from lentigo_trainer.export.litert import export_litert, rounding_rows
from lentigo_trainer.export.publishing import discard_candidate
from lentigo_trainer.export.weight_grid import round_kernels
from lentigo_trainer.models.classifier import totals
from lentigo_trainer.reporting.run_report import write_report
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import locked
from lentigo_trainer.training.fit import TrainedNetwork, train_network
from lentigo_trainer.training.work_folder import EpochMetrics, keep_history
from lentigo_trainer.training.workers import ALONE, Workers


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished run.

    Attributes:
        folder: the run's folder; its candidate can be published from there.
        history: every epoch.
        evaluation: metrics of the exported model on the validation images.
        feature_seconds: how long the pass of the training rows through the frozen layers took; 0
            where nothing is frozen, None where an earlier run did not keep the time.
    """

    folder: Path
    history: tuple[EpochMetrics, ...]
    evaluation: Evaluation
    feature_seconds: float | None


def train_folds(
    config: TrainingConfig, prepared: Prepared, progress: Progress, workers: Workers = ALONE
) -> Path:
    """Train only the networks of the folds, to compare a recipe with others.

    Args:
        config: how to train; its recipe has `folds`. Its epochs may all use smaller images.
        prepared: the data set.
        progress: receives the progress of each step.
        workers: those who train them, this being the chief.

    Returns:
        The file with the out-of-fold answers.

    Raises:
        RecipeError: the recipe has no folds.
        LentigoError: as `cross_fit`.
    """
    if not config.recipe.folds:
        raise RecipeError("The recipe has no folds. Add `folds = 5`, or leave --folds-only out.")
    folder = config.work.run(config.recipe)
    with locked(folder):
        rows = choose_rows(config, prepared)
        cross_fit(config, prepared, rows, folder, progress, workers)
    return folder / ANSWERS_NAME


def help_train(
    config: TrainingConfig,
    prepared: Prepared,
    progress: Progress,
    workers: Workers,
    folds_only: bool,
) -> None:
    """Train this worker's part of a run whose chief calls `train` or `train_folds`.

    Nothing is kept here but the features of this worker's own rows.

    Args:
        config: how to train, the same as the chief's.
        prepared: the same data set.
        progress: receives the progress of each step.
        workers: those who train it.
        folds_only: whether the chief calls `train_folds`.

    Raises:
        LentigoError: as `train_network`.
    """
    folder = config.work.run(config.recipe)
    rows = choose_rows(config, prepared)
    if rows.folds.count:
        help_cross_fit(config, prepared, rows, folder, progress, workers)
    if folds_only:
        return
    trained = train_network(config, prepared, rows, folder, progress, workers)
    if len(rows.tuning):
        trained.validation_logits()


def train(
    config: TrainingConfig,
    prepared: Prepared,
    now: Callable[[], datetime],
    progress: Progress,
    lighter: bool = True,
    workers: Workers = ALONE,
) -> Trained:
    """Train by a recipe and leave a candidate: a version that only needs publishing.

    Steps that an earlier run of the same recipe finished are not repeated. Metrics always speak of
    the exported model on all validation images, even if a limit made training quick.

    Args:
        config: how to train.
        prepared: the data set.
        now: returns the time, UTC, for the manifest.
        progress: receives the progress of each step.
        lighter: whether to export the LiteRT models too and compare them with the SavedModel, which
            takes minutes; a version without them is served by the SavedModel.
        workers: those who train it, this being the chief; the others call `help_train`.

    Raises:
        LentigoError: see the steps; each message says what to do.
    """
    _require_full_size(config.recipe)
    folder = config.work.run(config.recipe)
    extra = open_extra_images(config, prepared)
    with locked(folder):
        rows = choose_rows(config, prepared)
        sisters = None
        if rows.folds.count:
            sisters = cross_fit(config, prepared, rows, folder, progress, workers)
        trained = train_network(config, prepared, rows, folder, progress, workers)
        network = round_kernels(trained.network)
        keep_history(folder, trained.history)
        discard_candidate(folder)

        meaning, sister_basis = _calibrate(trained, prepared, rows, sisters)
        origin = Origin(config, prepared, rows, totals(trained.network), extra)
        exported = export_candidate(network, meaning, origin, folder, progress)
        write_report(folder / "report", exported.evaluation, trained.history)
        ended = now()

        chosen = rounding_rows(prepared.labels, rows.used.train, config.seed)

        def write_litert(
            files: Path, calibration: Calibration, detector: MahalanobisDetector
        ) -> None:
            images = prepared.images[chosen]
            export_litert(network, files, images, progress, calibration, detector)

        litert = LiteRTFiles(write_litert) if lighter else None
        manifest = describe_candidate(
            exported, origin, folder, ended, progress, litert, sister_basis
        )
        if sisters is not None:
            found = measure_out_of_fold(
                sisters, prepared.labels, merged_lesions(prepared.records)
            ).model_dump(mode="json")
            manifest = manifest.model_copy(update={"out_of_fold": found})
        complete_candidate(exported, origin, folder, manifest, progress)
    return Trained(folder, trained.history, exported.evaluation, trained.feature_seconds)


def _require_full_size(recipe: Recipe) -> None:
    """Check that out-of-fold answers speak of the image size that the exported network gets."""
    if (
        recipe.folds
        and recipe.fine_tuning
        and not recipe.fine_tuning.ends_at_full_size(recipe.epochs)
    ):
        raise RecipeError(
            "The recipe's last epochs use smaller images than a published network gets. Add epochs "
            "after its stages, or compare it with others by `lentigo-train fit --folds-only`."
        )


def _calibrate(
    trained: TrainedNetwork, prepared: Prepared, rows: TrainingRows, sisters: OutOfFold | None
) -> tuple[Meaning, ThresholdBasis | None]:
    """Calibrate on the out-of-fold answers or the tuning images; without any, not at all.

    Returns:
        What the probabilities mean; and the out-of-fold answers as a basis of thresholds, if the
        recipe has folds.
    """
    if sisters is not None:
        description = (
            f"the answers of {rows.folds.count} sister networks for HAM10000's training images, "
            "each for the lesions that it never saw"
        )
        labels = prepared.labels[sisters.rows]
        meaning, answers = calibrate_out_of_fold(sisters, labels, description)
        lesions = merged_lesions(prepared.records)[sisters.rows]
        return meaning, ThresholdBasis(description, labels, lesions, {"savedmodel": answers})
    if len(rows.tuning):
        return Meaning(calibration_on(*trained.validation_logits(), TUNING_SET)), None
    return Meaning(UNCALIBRATED), None
