"""From a trained network to a candidate: export, evaluate, choose thresholds, describe.

Whatever trained a network, its version goes this way: `pipeline` comes here with the network of a
recipe, `compression` with one that was made smaller.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np

from lentigo_contract.manifest.engines import EngineName
from lentigo_contract.manifest.manifest import Manifest, MapGeometry
from lentigo_contract.manifest.probabilities import Calibration
from lentigo_engines.base import Prediction
from lentigo_trainer.calibration.out_of_distribution import MahalanobisDetector, fit_detector
from lentigo_trainer.calibration.thresholds import Meaning, ThresholdBasis, choose_thresholds
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.duplicates.known import merged_lesions, shown_elsewhere
from lentigo_trainer.data.extra.training_images import ExtraImages
from lentigo_trainer.data.provenance import write_training_set
from lentigo_trainer.data.splits import TrainingRows
from lentigo_trainer.evaluation.evaluate import EVALUATION_SEED
from lentigo_trainer.evaluation.exported_model import predict_with
from lentigo_trainer.evaluation.summary import Evaluation, evaluate
from lentigo_trainer.export.input_reference import measure_input
from lentigo_trainer.export.manifest import describe
from lentigo_trainer.export.parity import EngineParity, compare_engines
from lentigo_trainer.export.publishing import candidate_files, finish_candidate
from lentigo_trainer.export.saved_model import export_saved_model
from lentigo_trainer.metrics.decisions import decisions_of
from lentigo_trainer.models.architecture import Totals
from lentigo_trainer.models.classifier import Network
from lentigo_trainer.models.registry import architecture
from lentigo_trainer.reporting.model_card.card import model_card
from lentigo_trainer.reporting.model_card.evidence import evaluate_candidate
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.training.precision import in_bfloat16

VALIDATION_SET: Final = "the paper's validation images of HAM10000"
TUNING_SET: Final = "images of HAM10000's training lesions that were kept out of training for this"


@dataclass(frozen=True, slots=True)
class Origin:
    """What a network was trained by, and on which images.

    Attributes:
        config: how.
        prepared: the data set.
        rows: which images trained it and which did not.
        parameters: of the network as it was trained; to be exported, it may be folded.
        extra: images of imported sets that trained it besides; None without any.
        tuning_set: the tuning images of `rows`, in words.
    """

    config: TrainingConfig
    prepared: Prepared
    rows: TrainingRows
    parameters: Totals
    extra: ExtraImages | None = None
    tuning_set: str = TUNING_SET


@dataclass(frozen=True, slots=True)
class LiteRTFiles:
    """The lighter engines of a candidate.

    Attributes:
        write: writes the files of `LITERT_FILES` into the folder of the SavedModel, with this
            calibration and detector.
        served: the engine that the version is made for: thresholds hold for it even if it may not
            stand in for the SavedModel. None for none in particular.
    """

    write: Callable[[Path, Calibration, MahalanobisDetector], None]
    served: EngineName | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """A candidate's SavedModel, and what it answers.

    Attributes:
        meaning: of its probabilities.
        detector: its out-of-distribution detector.
        geometry: of its activation map.
        outputs: for the images outside training, see `TrainingRows.outside_training`.
        evaluation: on the validation images.
    """

    meaning: Meaning
    detector: MahalanobisDetector
    geometry: MapGeometry
    outputs: Prediction
    evaluation: Evaluation

    def validation_outputs(self, rows: TrainingRows) -> Prediction:
        """Return the part of the outputs that is for the validation images."""
        return self.outputs.take(np.searchsorted(rows.outside_training, rows.whole.validation))


def export_candidate(
    network: Network, meaning: Meaning, origin: Origin, folder: Path, progress: Progress
) -> Exported:
    """Write a network's SavedModel and the list of what trained it, and evaluate the SavedModel.

    Args:
        network: trained; it may be folded and rounded.
        meaning: of its probabilities.
        origin: what it was trained by and on.
        folder: of the run, without a candidate.
        progress: receives the progress of each step.

    Raises:
        LentigoError: as `fit_detector`, `export_saved_model` and `predict_with`.
    """
    config, prepared, rows = origin.config, origin.prepared, origin.rows
    with in_bfloat16(architecture(config.recipe.architecture).plain):
        detector = fit_detector(network, prepared.images, rows.used.train, config.seed, progress)
    # Training has read the whole data set, 1.5 GB, and rounding to int8 needs as much again.
    prepared.release_pages()
    files = candidate_files(folder)
    geometry = export_saved_model(network, files, meaning.calibration, detector)
    write_training_set(
        files,
        prepared,
        rows.used.train,
        None if origin.extra is None else origin.extra.training_set(),
    )
    outside = rows.outside_training
    outputs = predict_with("savedmodel", files, prepared.images[outside], progress)
    of_validation = outputs.take(np.searchsorted(outside, rows.whole.validation))
    evaluation = _evaluate_validation(prepared, rows, of_validation, meaning)
    return Exported(meaning, detector, geometry, outputs, evaluation)


def describe_candidate(
    exported: Exported,
    origin: Origin,
    folder: Path,
    created: datetime,
    progress: Progress,
    litert: LiteRTFiles | None,
    basis: ThresholdBasis | None = None,
) -> Manifest:
    """Export the lighter engines, compare them, choose thresholds, and write the manifest.

    Args:
        exported: from `export_candidate`.
        origin: what trained the network.
        folder: of the run.
        created: when training ended, UTC.
        progress: receives the progress of each step.
        litert: the lighter engines; None for a version that only the SavedModel serves.
        basis: answers that thresholds are chosen on; None takes those of the version itself, for
            the tuning images or, without any, for the validation images. These choose the
            out-of-distribution limit too where the answers have no scores.

    Raises:
        LentigoError: as `compare_engines` and `choose_thresholds`.
    """
    prepared, rows, meaning = origin.prepared, origin.rows, exported.meaning
    files = candidate_files(folder)
    engines: dict[EngineName, Prediction] = {"savedmodel": exported.outputs}
    parity: EngineParity | None = None
    if litert is not None:
        litert.write(files, meaning.calibration, exported.detector)
        outside = rows.outside_training
        parity = compare_engines(
            files,
            prepared.images[outside],
            prepared.labels[outside],
            exported.outputs,
            meaning.prevalence,
            progress,
        )
        engines |= parity.standing_in()
        if litert.served is not None:
            engines[litert.served] = parity.predictions[litert.served]

    own = _own_basis(origin, engines)
    method = exported.detector.method()
    thresholds = choose_thresholds(exported.geometry, meaning, method, basis or own, own)
    manifest = describe(
        origin.config,
        prepared,
        rows,
        origin.parameters,
        exported.evaluation,
        thresholds,
        created,
        origin.extra,
    )
    reference = measure_input(
        (prepared.images[row] for row in rows.whole.validation),
        exported.validation_outputs(rows).unlikeness,
        thresholds.ood,
        VALIDATION_SET,
    )
    manifest = manifest.model_copy(update={"input_reference": reference})
    if parity is None:
        return manifest
    point, malignancy = thresholds.point, meaning.malignancy_calibration
    return parity.with_referrals(point.threshold, malignancy).on_record(manifest)


def complete_candidate(
    exported: Exported, origin: Origin, folder: Path, manifest: Manifest, progress: Progress
) -> None:
    """Add the model card and the manifest; from here on the candidate can be published.

    Args:
        exported: from `export_candidate`.
        origin: what trained the network.
        folder: of the run.
        manifest: of the candidate.
        progress: receives the progress.

    Raises:
        LentigoError: as `evaluate_candidate` and `finish_candidate`.
    """
    evidence = evaluate_candidate(
        candidate_files(folder),
        manifest,
        origin.prepared,
        origin.rows,
        exported.validation_outputs(origin.rows),
        progress,
        exported.evaluation,
    )
    finish_candidate(folder, manifest, model_card(evidence))


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


def _own_basis(origin: Origin, engines: Mapping[EngineName, Prediction]) -> ThresholdBasis:
    """Take the outputs for the tuning images; without any, those for the validation images.

    Args:
        origin: has the images.
        engines: outputs of each engine for the images outside training.
    """
    prepared, rows = origin.prepared, origin.rows
    chosen, description = rows.whole.validation, VALIDATION_SET
    if len(rows.tuning):
        chosen, description = rows.tuning, origin.tuning_set
    places = np.searchsorted(rows.outside_training, chosen)
    outputs = {engine: each.take(places) for engine, each in engines.items()}
    lesions = merged_lesions(prepared.records)[chosen]
    return ThresholdBasis(description, prepared.labels[chosen], lesions, outputs)
