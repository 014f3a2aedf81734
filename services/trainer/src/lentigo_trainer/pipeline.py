"""A training run, top to bottom: train, calibrate, export, evaluate, choose thresholds, describe.

`train` is the whole story; each step is one call. A killed run resumes with the step it was in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import keras
import tensorflow as tf

from lentigo_contract.manifest.engines import EngineName
from lentigo_contract.manifest.manifest import Calibration
from lentigo_engines.base import Prediction
from lentigo_trainer.calibration.out_of_distribution import MahalanobisDetector, fit_detector
from lentigo_trainer.calibration.temperature import UNCALIBRATED, calibration_on
from lentigo_trainer.calibration.thresholds import choose_thresholds
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.extra.training_images import ExtraImages, open_extra_images
from lentigo_trainer.data.provenance import write_training_set
from lentigo_trainer.data.splits import TrainingRows, choose_rows
from lentigo_trainer.errors import RecipeError
from lentigo_trainer.evaluation.evaluate import EVALUATION_SEED
from lentigo_trainer.evaluation.exported_model import predict_with
from lentigo_trainer.evaluation.summary import Evaluation, evaluate
from lentigo_trainer.export.litert import calibration_rows, export_litert
from lentigo_trainer.export.manifest import describe
from lentigo_trainer.export.parity import EngineParity, compare_engines
from lentigo_trainer.export.publishing import candidate_files, discard_candidate, finish_candidate
from lentigo_trainer.export.saved_model import export_saved_model
from lentigo_trainer.metrics.arrays import LabelArray
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


def train(
    config: TrainingConfig,
    prepared: Prepared,
    now: Callable[[], datetime],
    progress: Progress,
    lighter: bool = True,
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

    Raises:
        LentigoError: see the steps; each message says what to do.
    """
    _make_reproducible(config.seed)
    folder = config.work.run(config.recipe)
    extra = _open_extra(config, prepared)
    with locked(folder):
        rows = choose_rows(config, prepared)
        trained = train_network(config, prepared, rows, folder, progress, extra)
        network = trained.network
        keep_history(folder, trained.history)
        discard_candidate(folder)

        calibration = _calibrate(trained, rows)
        detector = _fit_detector(network, config, prepared, rows, progress)
        # Training has read the whole data set, 1.5 GB, and rounding to int8 needs as much again.
        prepared.release_pages()

        files = candidate_files(folder)
        geometry = export_saved_model(network, files, calibration, detector)
        write_training_set(
            files, prepared, rows.used.train, None if extra is None else extra.records
        )

        validation_outputs = predict_with(
            "savedmodel", files, prepared.images[rows.whole.validation], progress
        )
        evaluation = _evaluate_validation(prepared, rows, validation_outputs)
        write_report(folder / "report", evaluation, trained.history)
        ended = now()

        engines: dict[EngineName, Prediction] = {"savedmodel": validation_outputs}
        parity = None
        if lighter:
            ranges = calibration_rows(prepared.labels, rows.used.train, config.seed)
            images = prepared.images[ranges]
            export_litert(network, files, images, progress, calibration, detector)
            parity = _compare_with_litert(files, prepared, rows, validation_outputs, progress)
            engines |= parity.standing_in()

        basis = _threshold_basis(files, prepared, rows, engines, progress)
        thresholds = choose_thresholds(
            geometry,
            calibration,
            detector.method(),
            basis.truth,
            basis.outputs,
            basis.description,
        )

        manifest = describe(
            config, prepared, rows, totals(network), evaluation, thresholds, ended, extra
        )
        if parity is not None:
            manifest = parity.on_record(manifest)
        evidence = evaluate_candidate(
            files, manifest, prepared, rows, validation_outputs, progress, evaluation
        )
        finish_candidate(folder, manifest, model_card(evidence))
    return Trained(folder, trained.history, evaluation, trained.feature_seconds)


def _open_extra(config: TrainingConfig, prepared: Prepared) -> ExtraImages | None:
    """Open the images of imported sets that train besides.

    Raises:
        RecipeError: the recipe cannot train with them.
        ImportedSetError: a set cannot be used.
    """
    if config.extra and config.recipe.fine_tuning is None:
        raise RecipeError(
            "Only a recipe with a table fine_tuning can train with --extra. Choose another "
            "--recipe, or leave --extra out."
        )
    return open_extra_images(config.extra, prepared)


def _make_reproducible(seed: int) -> None:
    """Let two runs with one seed end with the same weights and layer names, bit by bit."""
    # Layer names count up over a process, whatever it built before.
    keras.utils.clear_session()
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)


def _calibrate(trained: TrainedNetwork, rows: TrainingRows) -> Calibration:
    """Fit temperatures on the tuning images; a recipe without any leaves the logits as they are."""
    return (
        calibration_on(*trained.validation_logits(), TUNING_SET)
        if len(rows.tuning)
        else UNCALIBRATED
    )


def _fit_detector(
    network: Network,
    config: TrainingConfig,
    prepared: Prepared,
    rows: TrainingRows,
    progress: Progress,
) -> MahalanobisDetector:
    with in_bfloat16(architecture(config.recipe.architecture).plain):
        return fit_detector(network, prepared.images, rows.used.train, config.seed, progress)


def _evaluate_validation(prepared: Prepared, rows: TrainingRows, outputs: Prediction) -> Evaluation:
    validation = rows.whole.validation
    lesions = prepared.records["lesion_id"].to_numpy()[validation]
    truth = prepared.labels[validation]
    return evaluate(truth, outputs.probabilities, lesions, EVALUATION_SEED)


def _compare_with_litert(
    files: Path,
    prepared: Prepared,
    rows: TrainingRows,
    validation_outputs: Prediction,
    progress: Progress,
) -> EngineParity:
    validation = rows.whole.validation
    images, truth = prepared.images[validation], prepared.labels[validation]
    return compare_engines(files, images, truth, validation_outputs.probabilities, progress)


@dataclass(frozen=True, slots=True)
class _ThresholdBasis:
    """The images that thresholds are chosen on.

    Attributes:
        description: the images, in words.
        truth: class numbers, [n].
        outputs: of each engine that may serve, for these n images.
    """

    description: str
    truth: LabelArray
    outputs: Mapping[EngineName, Prediction]


def _threshold_basis(
    files: Path,
    prepared: Prepared,
    rows: TrainingRows,
    engines: Mapping[EngineName, Prediction],
    progress: Progress,
) -> _ThresholdBasis:
    """Run the engines on the tuning images; without any, fall back on the validation images."""
    if not len(rows.tuning):
        truth = prepared.labels[rows.whole.validation]
        return _ThresholdBasis(VALIDATION_SET, truth, engines)
    images = prepared.images[rows.tuning]
    tuning_outputs = {engine: predict_with(engine, files, images, progress) for engine in engines}
    return _ThresholdBasis(TUNING_SET, prepared.labels[rows.tuning], tuning_outputs)
