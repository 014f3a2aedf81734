"""A training run, top to bottom: train, calibrate, export, evaluate, choose thresholds, describe.

`train` is the whole story; each step is one call. A killed run resumes with the step it was in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np

from lentigo_contract.manifest.engines import EngineName
from lentigo_engines.base import Prediction
from lentigo_trainer.calibration.cross_validation import measure_out_of_fold
from lentigo_trainer.calibration.out_of_distribution import MahalanobisDetector, fit_detector
from lentigo_trainer.calibration.out_of_fold import calibrate_out_of_fold, cross_fit, help_cross_fit
from lentigo_trainer.calibration.temperature import UNCALIBRATED, calibration_on
from lentigo_trainer.calibration.thresholds import (
    Meaning,
    ThresholdBasis,
    choose_thresholds,
)
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.duplicates.known import merged_lesions, shown_elsewhere
from lentigo_trainer.data.extra.training_images import open_extra_images
from lentigo_trainer.data.out_of_fold import ANSWERS_NAME, OutOfFold
from lentigo_trainer.data.provenance import write_training_set
from lentigo_trainer.data.splits import TrainingRows, choose_rows
from lentigo_trainer.errors import RecipeError
from lentigo_trainer.evaluation.evaluate import EVALUATION_SEED
from lentigo_trainer.evaluation.exported_model import predict_with
from lentigo_trainer.evaluation.summary import Evaluation, evaluate
from lentigo_trainer.export.input_reference import measure_input
from lentigo_trainer.export.litert import calibration_rows, export_litert
from lentigo_trainer.export.manifest import describe
from lentigo_trainer.export.parity import compare_engines
from lentigo_trainer.export.publishing import candidate_files, discard_candidate, finish_candidate
from lentigo_trainer.export.saved_model import export_saved_model
from lentigo_trainer.export.weight_grid import round_kernels, round_whitening
from lentigo_trainer.metrics.decisions import decisions_of
from lentigo_trainer.models.classifier import Network, totals
from lentigo_trainer.models.registry import architecture
from lentigo_trainer.reporting.model_card.card import model_card
from lentigo_trainer.reporting.model_card.evidence import evaluate_candidate
from lentigo_trainer.reporting.run_report import write_report
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import locked
from lentigo_trainer.training.fit import TrainedNetwork, train_network
from lentigo_trainer.training.precision import in_bfloat16
from lentigo_trainer.training.work_folder import EpochMetrics, keep_history
from lentigo_trainer.training.workers import ALONE, Workers

VALIDATION_SET: Final = "the paper's validation images of HAM10000"
TUNING_SET: Final = "images of HAM10000's training lesions that were kept out of training for this"


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
        calibration = meaning.calibration
        detector = round_whitening(_fit_detector(network, config, prepared, rows, progress))
        # Training has read the whole data set, 1.5 GB, and rounding to int8 needs as much again.
        prepared.release_pages()

        files = candidate_files(folder)
        geometry = export_saved_model(network, files, calibration, detector)
        write_training_set(
            files, prepared, rows.used.train, None if extra is None else extra.training_set()
        )

        outside = rows.outside_training
        outputs = predict_with("savedmodel", files, prepared.images[outside], progress)
        validation_outputs = outputs.take(np.searchsorted(outside, rows.whole.validation))
        evaluation = _evaluate_validation(prepared, rows, validation_outputs, meaning)
        write_report(folder / "report", evaluation, trained.history)
        ended = now()

        engines: dict[EngineName, Prediction] = {"savedmodel": outputs}
        parity = None
        if lighter:
            ranges = calibration_rows(prepared.labels, rows.used.train, config.seed)
            images = prepared.images[ranges]
            export_litert(network, files, images, progress, calibration, detector)
            parity = compare_engines(
                files,
                prepared.images[outside],
                prepared.labels[outside],
                outputs,
                meaning.prevalence,
                progress,
            )
            engines |= parity.standing_in()

        basis = sister_basis or _threshold_basis(prepared, rows, engines)
        thresholds = choose_thresholds(geometry, meaning, detector.method(), basis)

        manifest = describe(
            config, prepared, rows, totals(trained.network), evaluation, thresholds, ended, extra
        )
        reference = measure_input(
            (prepared.images[row] for row in rows.whole.validation),
            validation_outputs.unlikeness,
            thresholds.ood,
            VALIDATION_SET,
        )
        manifest = manifest.model_copy(update={"input_reference": reference})
        if sisters is not None:
            found = measure_out_of_fold(
                sisters, prepared.labels, merged_lesions(prepared.records)
            ).model_dump(mode="json")
            manifest = manifest.model_copy(update={"out_of_fold": found})
        if parity is not None:
            point, malignancy = thresholds.point, meaning.malignancy_calibration
            manifest = parity.with_referrals(point.threshold, malignancy).on_record(manifest)
        evidence = evaluate_candidate(
            files, manifest, prepared, rows, validation_outputs, progress, evaluation
        )
        finish_candidate(folder, manifest, model_card(evidence))
    return Trained(folder, trained.history, evaluation, trained.feature_seconds)


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


def _fit_detector(
    network: Network,
    config: TrainingConfig,
    prepared: Prepared,
    rows: TrainingRows,
    progress: Progress,
) -> MahalanobisDetector:
    with in_bfloat16(architecture(config.recipe.architecture).plain):
        return fit_detector(network, prepared.images, rows.used.train, config.seed, progress)


def _evaluate_validation(
    prepared: Prepared, rows: TrainingRows, outputs: Prediction, meaning: Meaning
) -> Evaluation:
    validation = rows.whole.validation
    lesions = prepared.records["lesion_id"].to_numpy()[validation]
    truth = prepared.labels[validation]
    rest = np.setdiff1d(np.arange(len(prepared.records), dtype=np.intp), validation)
    duplicated = shown_elsewhere(prepared.records, validation, rest)
    decisions = decisions_of(
        outputs.probabilities, meaning.prevalence, meaning.malignancy_calibration
    )
    return evaluate(
        truth,
        outputs.probabilities,
        lesions,
        EVALUATION_SEED,
        decisions=decisions,
        duplicated=duplicated,
    )


def _threshold_basis(
    prepared: Prepared,
    rows: TrainingRows,
    engines: Mapping[EngineName, Prediction],
) -> ThresholdBasis:
    """Take the outputs for the tuning images; without any, those for the validation images.

    Args:
        prepared: the data set.
        rows: which images trained the network and which did not.
        engines: outputs of each engine for the images outside training.
    """
    chosen, description = rows.whole.validation, VALIDATION_SET
    if len(rows.tuning):
        chosen, description = rows.tuning, TUNING_SET
    places = np.searchsorted(rows.outside_training, chosen)
    outputs = {engine: each.take(places) for engine, each in engines.items()}
    lesions = merged_lesions(prepared.records)[chosen]
    return ThresholdBasis(description, prepared.labels[chosen], lesions, outputs)
