"""Make a candidate of a variant: a version that only needs publishing.

A variant has answers of its own for one fold alone, the one that neither it nor the network that it
was made of learnt from. So calibration and thresholds rest on these images, as those of a recipe
with a hold-out rest on its tuning part; docs/decisions/0047-compression.md says what else could be.
What follows is the way of every version.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np

from lentigo_contract.manifest.compression import CompressedNetwork
from lentigo_contract.manifest.engines import GOLDEN_TOLERANCES, LITERT_FILES
from lentigo_contract.manifest.probabilities import Calibration
from lentigo_trainer.calibration.out_of_distribution import MahalanobisDetector
from lentigo_trainer.calibration.out_of_fold import calibrate_posteriors
from lentigo_trainer.calibration.temperature import calibrated
from lentigo_trainer.candidate import (
    LiteRTFiles,
    Origin,
    complete_candidate,
    describe_candidate,
    export_candidate,
)
from lentigo_trainer.compression.context import CompressionContext
from lentigo_trainer.compression.cost import compressed_bytes
from lentigo_trainer.compression.variants import int8_file
from lentigo_trainer.config.compression_file import Int8, Width
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.splits import choose_rows
from lentigo_trainer.errors import TrainingError
from lentigo_trainer.evaluation.exported_model import predict_with
from lentigo_trainer.export.litert import export_litert, float32_model
from lentigo_trainer.export.manifest import effective_limit
from lentigo_trainer.export.publishing import discard_candidate
from lentigo_trainer.models.classifier import Network, totals
from lentigo_trainer.reporting.run_report import write_report
from lentigo_trainer.system.storage import write_whole
from lentigo_trainer.training.precision import make_reproducible

_COMPARED: Final = 64
"""Images on which the candidate's file is compared with the one that was measured."""


def make_candidate(context: CompressionContext, name: str, now: Callable[[], datetime]) -> Path:
    """Export a finished variant as a version, with calibration, thresholds, manifest and card.

    Args:
        context: open.
        name: of the variant.
        now: returns the time, UTC, for the manifest.

    Returns:
        The variant's folder, from which it can be published.

    Raises:
        TrainingError: the variant is not finished, or what is exported now answers otherwise than
            what was measured.
        LentigoError: as the steps of `candidate`.
    """
    variant = context.variant(name)
    if not variant.is_finished:
        raise TrainingError(f"{name} is not finished, so it cannot be published.")
    config, prepared, rows = context.config, context.prepared, context.rows
    progress, folder = context.material.progress, variant.path
    engine = variant.result().engine
    make_reproducible(config.training.seed)
    discard_candidate(folder)
    described = (
        f"the images of HAM10000's training lesions in fold {config.fold} of {context.folds}, "
        "which trained neither this network nor the one that it was made of"
    )
    meaning, _ = calibrate_posteriors(variant.logits(), prepared.labels[rows.tuning], described)
    network = variant.network()
    training = _training(context, name)
    origin = Origin(training, prepared, rows, totals(network), context.extra, described)
    exported = export_candidate(network, meaning, origin, folder, progress)
    write_report(folder / "report", exported.evaluation)
    created = now()

    def write_litert(files: Path, calibration: Calibration, detector: MahalanobisDetector) -> None:
        _write_litert(context, name, network, files, calibration, detector)
        _require_measured(context, name, files, calibration)
        file = LITERT_FILES[engine]
        content = (files / file).read_bytes()
        sizes = [f"{size / 1e6:.2f} MB" for size in (len(content), compressed_bytes(content))]
        progress.say(f"{file}: {sizes[0]}, {sizes[1]} after gzip")

    litert = LiteRTFiles(write_litert, served=engine)
    manifest = describe_candidate(exported, origin, folder, created, progress, litert)
    manifest = manifest.model_copy(update={"compression": _summary(context, name)})
    complete_candidate(exported, origin, folder, manifest, progress)
    return folder


def _training(context: CompressionContext, name: str) -> TrainingConfig:
    """Return by what the network that a variant was made of was trained."""
    compression, training = context.config.compression, context.config.training
    first = next(iter(compression.chain(name).values()))
    recipe = compression.recipe_of(first) if isinstance(first, Width) else training.recipe
    # The fold is missing from training in any case, which is no limit.
    limit = effective_limit(training, choose_rows(training, context.prepared))
    return replace(training, recipe=recipe, limit=limit)


def _write_litert(
    context: CompressionContext,
    name: str,
    network: Network,
    files: Path,
    calibration: Calibration,
    detector: MahalanobisDetector,
) -> None:
    """Write float32 and int8; int8 as the variant rounds it, or as that of every version."""
    method, material = context.config.compression.variants[name], context.material
    if not isinstance(method, Int8):
        images = material.calibration_images
        export_litert(network, files, images, material.progress, calibration, detector)
        return
    write_whole(files / LITERT_FILES["litert"], float32_model(files))
    write_whole(files / LITERT_FILES["litert-int8"], int8_file(method, network, files))


def _require_measured(
    context: CompressionContext, name: str, files: Path, calibration: Calibration
) -> None:
    """Check that what is published answers as what was measured, but for the calibration."""
    variant = context.variant(name)
    engine, rows = variant.result().engine, context.rows.tuning[:_COMPARED]
    images, progress = context.prepared.images[rows], context.material.progress
    found = predict_with(engine, files, images, progress).probabilities
    measured = np.asarray(calibrated(variant.logits()[:_COMPARED], calibration))
    off = float(np.abs(found - measured).max())
    if not off <= GOLDEN_TOLERANCES[engine].probability:
        raise TrainingError(
            f"{name} answers otherwise now than when it was measured: a probability is off by "
            f"{off:.2g}. Delete {variant.path} to make and measure it again."
        )


def _summary(context: CompressionContext, name: str) -> CompressedNetwork:
    compression = context.config.compression
    chain = compression.chain(name)
    return CompressedNetwork(
        variant=name,
        steps=tuple(context.variant(each).result().method for each in chain),
        settings={
            "variants": {each: method.model_dump(mode="json") for each, method in chain.items()},
            "fine_tuning": compression.schedule.model_dump(mode="json"),
        },
        fold=context.config.fold,
        folds=context.folds,
        multiplications=context.variant(name).result().multiplications,
    )
