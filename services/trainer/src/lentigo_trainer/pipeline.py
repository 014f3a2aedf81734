"""A training run from the top: plan, compute features, fit, export, evaluate, publish."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import keras
import tensorflow as tf

from lentigo_contract.manifest.engines import EngineName
from lentigo_engines.base import Prediction
from lentigo_trainer.calibration.out_of_distribution import fit_detector
from lentigo_trainer.calibration.temperature import UNCALIBRATED, calibration_on
from lentigo_trainer.calibration.thresholds import choose_thresholds
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.provenance import write_training_set
from lentigo_trainer.data.splits import choose_rows
from lentigo_trainer.evaluation.evaluate import EVALUATION_SEED
from lentigo_trainer.evaluation.exported_model import predict_with
from lentigo_trainer.evaluation.summary import Evaluation, evaluate
from lentigo_trainer.export.litert import calibration_rows, export_litert
from lentigo_trainer.export.manifest import describe
from lentigo_trainer.export.parity import compare_engines
from lentigo_trainer.export.publishing import candidate_files, discard_candidate, finish_candidate
from lentigo_trainer.export.saved_model import export_saved_model
from lentigo_trainer.models.classifier import totals
from lentigo_trainer.models.registry import architecture
from lentigo_trainer.reporting.model_card.card import model_card
from lentigo_trainer.reporting.model_card.evidence import evaluate_candidate
from lentigo_trainer.reporting.run_report import write_report
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import locked
from lentigo_trainer.training.fit import train_network
from lentigo_trainer.training.loop import EpochMetrics
from lentigo_trainer.training.precision import in_bfloat16
from lentigo_trainer.training.work_folder import keep_history

VALIDATION_SET: Final = "the paper's validation images of HAM10000"
TUNING_SET: Final = "images of HAM10000's training lesions that were kept out of training for this"


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished run.

    Attributes:
        folder: where everything about it lies; its candidate can be published from there.
        history: every epoch.
        evaluation: the figures of the exported model on the validation images.
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
    """Train by a recipe and measure what comes out; what an earlier run finished is kept.

    Whatever the limit, the figures are those of the exported model on all validation images.

    Args:
        config: how to train.
        prepared: what to train on.
        now: gives the time, UTC, for the manifest.
        progress: told how far each step is.
        lighter: whether to make the LiteRT models too and to compare them with the SavedModel,
            which takes minutes; a version without them is served by the SavedModel.

    Raises:
        LentigoError: see the steps; each message says what to do.
    """
    # Two runs with the same seed shall end with the same weights, bit by bit, and their layers have
    # the same names, whatever this process built before.
    keras.utils.clear_session()
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(config.seed)
    folder = config.work.run(config.recipe)
    with locked(folder):
        rows = choose_rows(config, prepared)
        learnt = train_network(config, prepared, rows, folder, progress)
        network, history = learnt.network, learnt.history
        keep_history(folder, history)
        discard_candidate(folder)
        files = candidate_files(folder)
        calibration = UNCALIBRATED
        if len(rows.tuning):
            calibration = calibration_on(*learnt.validation_logits(), TUNING_SET)
        with in_bfloat16(architecture(config.recipe.architecture).plain):
            unlikeness = fit_detector(
                network, prepared.images, rows.used.train, config.seed, progress
            )
        # What training has read is 1.5 GB of the whole data set, and rounding needs as much again.
        prepared.release_pages()
        geometry = export_saved_model(network, files, calibration, unlikeness)
        write_training_set(files, prepared, rows.used.train)
        measured_on = rows.whole.validation
        truth = prepared.labels[measured_on]
        lesions = prepared.records["lesion_id"].to_numpy()[measured_on]
        given = predict_with("savedmodel", files, prepared.images[measured_on], progress)
        answers = given.probabilities
        evaluation = evaluate(truth, answers, lesions, EVALUATION_SEED)
        write_report(folder / "report", evaluation, history)
        ended = now()
        serving: dict[EngineName, Prediction] = {"savedmodel": given}
        engines = None
        if lighter:
            ranges = prepared.images[
                calibration_rows(prepared.labels, rows.used.train, config.seed)
            ]
            export_litert(network, files, ranges, progress, calibration, unlikeness)
            engines = compare_engines(files, prepared.images[measured_on], truth, answers, progress)
            serving |= engines.standing_in()
        chosen_on = VALIDATION_SET
        if len(rows.tuning):
            images = prepared.images[rows.tuning]
            serving = {engine: predict_with(engine, files, images, progress) for engine in serving}
            truth, chosen_on = prepared.labels[rows.tuning], TUNING_SET
        answering = choose_thresholds(
            geometry, calibration, unlikeness.method(), truth, serving, chosen_on
        )
        manifest = describe(config, prepared, rows, totals(network), evaluation, answering, ended)
        if engines:
            manifest = engines.on_record(manifest)
        evidence = evaluate_candidate(files, manifest, prepared, rows, given, progress)
        finish_candidate(folder, manifest, model_card(evidence))
    return Trained(folder, history, evaluation, learnt.feature_seconds)
