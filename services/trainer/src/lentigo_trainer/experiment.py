"""A training run from the top: plan, compute features, fit, export, evaluate, publish."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_contract.agreement import EngineName
from lentigo_trainer.answers import FloatArray
from lentigo_trainer.architectures.network import build, totals
from lentigo_trainer.architectures.registry import architecture
from lentigo_trainer.candidate import candidate_files, discard_candidate, finish_candidate
from lentigo_trainer.checkpoint import finished_epochs
from lentigo_trainer.claim import claimed
from lentigo_trainer.config import TrainingConfig
from lentigo_trainer.description import describe
from lentigo_trainer.epoch_log import EpochLog
from lentigo_trainer.evaluation import Evaluation, evaluate
from lentigo_trainer.export import export_saved_model
from lentigo_trainer.features import FeatureKey, compute_features
from lentigo_trainer.fit import Examples, fit
from lentigo_trainer.frozen_trunk import BATCH, FrozenTrunk, trunk_digest
from lentigo_trainer.history import EpochFigures
from lentigo_trainer.litert import calibration_rows, export_litert
from lentigo_trainer.measure import EVALUATION_SEED
from lentigo_trainer.operating_point import choose_operating_point
from lentigo_trainer.other_engines import compare_engines
from lentigo_trainer.pass_time import seconds_of, timed
from lentigo_trainer.pipeline import AugmentedPictures, pictures
from lentigo_trainer.plan import Plan, originals
from lentigo_trainer.prepare import Prepared
from lentigo_trainer.progress import Progress
from lentigo_trainer.report import write_report
from lentigo_trainer.run_folder import adopt, identity_of, keep_history
from lentigo_trainer.saved_model import probabilities_of
from lentigo_trainer.training_rows import choose_rows
from lentigo_trainer.training_set import write_training_set

VALIDATION_SET: Final = "the paper's validation images of HAM10000"


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
    history: tuple[EpochFigures, ...]
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
    chosen = architecture(config.recipe.architecture)
    folder = config.work.run(config.recipe)
    with claimed(folder):
        rows = choose_rows(config, prepared)
        network = build(chosen, config.weights, config.seed)
        adopt(folder, identity_of(config, prepared.digest, trunk_digest(network.trunk)))
        held_back = originals(rows.used.validation, prepared.labels)
        if network.learns_from_pictures:
            training, validation = (
                Examples(AugmentedPictures(prepared.images, plan), plan.label)
                for plan in (rows.plan, held_back)
            )
        else:
            trunk = FrozenTrunk(network.trunk, config.cores)
            training = _examples("train", trunk, prepared, rows.plan, folder, progress)
            validation = _examples("validation", trunk, prepared, held_back, folder, progress)
        checkpoint = folder / "checkpoint.npz"
        history = fit(
            network.tail,
            training,
            validation,
            config.recipe,
            config.seed,
            checkpoint,
            progress,
            EpochLog(folder, finished_epochs(checkpoint)).add,
        )
        keep_history(folder, history)
        discard_candidate(folder)
        files = candidate_files(folder)
        geometry = export_saved_model(network, files)
        write_training_set(files, prepared, rows.used.train)
        measured_on = rows.whole.validation
        truth = prepared.labels[measured_on]
        lesions = prepared.records["lesion_id"].to_numpy()[measured_on]
        answers = probabilities_of(files, prepared.images[measured_on], progress)
        evaluation = evaluate(truth, answers, lesions, EVALUATION_SEED)
        write_report(folder / "report", evaluation, history)
        ended = now()
        serving: dict[EngineName, FloatArray] = {"savedmodel": answers}
        engines = None
        if lighter:
            calibration = calibration_rows(prepared.labels, rows.used.train, config.seed)
            export_litert(network, files, prepared.images[calibration], progress)
            engines = compare_engines(files, prepared.images[measured_on], truth, answers, progress)
            serving |= engines.standing_in()
        point = choose_operating_point(truth, serving, VALIDATION_SET)
        manifest = describe(
            config, prepared, rows, totals(network), geometry, evaluation, point, ended
        )
        if engines:
            manifest = engines.on_record(manifest)
        finish_candidate(folder, manifest, evaluation, VALIDATION_SET)
        passes = features_of(folder, "train")
        spent = 0.0 if network.learns_from_pictures else seconds_of(passes, len(rows.plan))
    return Trained(folder, history, evaluation, spent)


def features_of(folder: Path, name: str) -> Path:
    """Where a run keeps the features of its `train` or `validation` rows."""
    return folder / "features" / name


def _examples(
    name: str,
    trunk: FrozenTrunk,
    prepared: Prepared,
    plan: Plan,
    folder: Path,
    progress: Progress,
) -> Examples:
    key = FeatureKey(
        name=name,
        images=prepared.digest,
        plan=plan.digest(),
        trunk=trunk.digest,
        rows=len(plan),
        shape=trunk.shape,
    )

    def from_row(first: int) -> Iterator[npt.NDArray[np.float32]]:
        return iter(pictures(prepared.images, plan, BATCH, first).as_numpy_iterator())

    where = features_of(folder, name)
    return Examples(
        compute_features(trunk, timed(from_row, where), where, key, progress), plan.label
    )
