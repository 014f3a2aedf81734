"""Compress the network of one fold in several ways, and compare what comes out.

The network of the fold learnt from all other folds. Each variant is made of it, fine-tuned on those
other folds, exported to LiteRT, and measured on the images of the fold by the very file that would
be served. A variant that is finished is not made again.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_engines.base import Prediction
from lentigo_engines.litert import LiteRTEngine
from lentigo_trainer import __version__
from lentigo_trainer.benchmark.profiling import litert_latency, this_machine
from lentigo_trainer.compression.comparison import compared, decided, parts_of_fold
from lentigo_trainer.compression.cost import compressed_bytes, multiplications
from lentigo_trainer.compression.fold_network import load_checkpoint_average, require_same_run
from lentigo_trainer.compression.records import CompressionRecord, VariantFile, VariantRecord
from lentigo_trainer.compression.variants import (
    Material,
    Variant,
    make_variant,
    network_from,
    uncompressed,
)
from lentigo_trainer.config.compression_file import UNCOMPRESSED, Compression, Int8, Method
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.augmentation import AugmentedImages
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.duplicates.known import merged_lesions
from lentigo_trainer.data.oversampling import originals
from lentigo_trainer.data.splits import TrainingRows, choose_rows, rows_without_fold
from lentigo_trainer.errors import DamagedCacheError, RecipeError, TrainingError
from lentigo_trainer.export.litert import calibration_rows
from lentigo_trainer.models.classifier import Network, build
from lentigo_trainer.models.registry import architecture, with_all_layers_trainable
from lentigo_trainer.system.native_output import held_back
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import locked, storage_errors, write_whole
from lentigo_trainer.training.feature_extraction.frozen_backbone import backbone_digest
from lentigo_trainer.training.fit import train_network
from lentigo_trainer.training.loop import Examples
from lentigo_trainer.training.precision import arithmetic, make_reproducible
from lentigo_trainer.training.work_folder import adopt

FOLDER: Final = "compression"
"""Folder of the work folder for compressions."""

_RESULT: Final = "result.json"
_NETWORK: Final = "network.keras"
_MODEL: Final = "model.tflite"
_ANSWERS: Final = "answers.npy"
_BATCH: Final = 32
_LEAST: Final = 1e-30
"""Least probability before its logarithm, which float32 still holds."""


@dataclass(frozen=True, slots=True)
class CompressionConfig:
    """How to compress.

    Attributes:
        compression: the file, read.
        training: how the network was or is trained; its recipe is the file's.
        fold: whose images measure.
        checkpoint: of that fold's network; None to train it.
        only: names of variants; none for all.
    """

    compression: Compression
    training: TrainingConfig
    fold: int
    checkpoint: Path | None
    only: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where everything is kept."""
        limit = self.training.limit
        suffix = "" if limit is None else f"_{limit}"
        name = f"{self.compression.name}_fold_{self.fold}{suffix}"
        return self.training.work.root / FOLDER / name


def compress(
    config: CompressionConfig, prepared: Prepared, progress: Progress
) -> CompressionRecord:
    """Make the variants that are not finished, and compare all with the network.

    A variant that fails is told with its reason; the others go on.

    Args:
        config: how.
        prepared: the data set.
        progress: shows how far each step is.

    Raises:
        RecipeError: no such fold or variant.
        TrainingError: the network cannot be trained, or the checkpoint cannot be used.
        WorkFolderError: another run uses the folder, or a variant there was made otherwise.
        StorageError: the disk is full or not writable; finished variants are kept.
    """
    chosen = config.compression.chosen(config.only)
    training = config.training
    rows = choose_rows(training, prepared)
    if not 1 <= config.fold <= rows.folds.count:
        raise RecipeError(f"There is no fold {config.fold}; there are {rows.folds.count}.")
    others = rows_without_fold(rows, prepared.labels, config.fold)
    with locked(config.folder):
        material = _material(training, prepared, others, progress)
        network, start = _network(config, prepared, others, material, progress)
        workshop = _Workshop(config, prepared, others, material, network, start)
        reasons: dict[str, str] = {}
        for number, name in enumerate((UNCOMPRESSED, *chosen)):
            progress.say(f"{name} ({number} of {len(chosen)})")
            try:
                workshop.finish(name, chosen.get(name))
            except TrainingError as error:
                if name == UNCOMPRESSED:
                    raise
                reasons[name] = str(error)
                progress.say(f"{name}: {error}")
        return _record(workshop, chosen, reasons, rows.folds.count)


@dataclass(frozen=True, slots=True)
class _Workshop:
    """Everything that making a variant needs."""

    config: CompressionConfig
    prepared: Prepared
    rows: TrainingRows
    material: Material
    network: Network
    start: str

    def folder(self, name: str) -> Path:
        return self.config.folder / name

    def finish(self, name: str, method: Method | None) -> None:
        """Make a variant and measure its answers, unless that is done."""
        folder = self.folder(name)
        adopt(folder, self._identity(method))
        if (folder / _RESULT).is_file():
            return
        training = self.config.training
        make_reproducible(training.seed)
        if method is None:
            made = uncompressed(self.network, folder, self.start, training.recipe.epochs)
        else:
            recipe = self.config.compression.recipe_of(method)
            made = make_variant(method, self._source(method), recipe, self.material, folder)
        answers = self._answers(made)
        with storage_errors(folder / _NETWORK):
            unfinished = folder / f"unfinished_{_NETWORK}"
            made.network.whole.save(unfinished)
            unfinished.replace(folder / _NETWORK)
        write_whole(folder / _MODEL, made.model)
        write_whole(folder / _ANSWERS, lambda file: np.save(file, answers))
        # From here on the variant is finished.
        write_whole(folder / _RESULT, _result(made).model_dump_json(indent=2).encode())
        (folder / "checkpoint.npz").unlink(missing_ok=True)

    def result(self, name: str) -> VariantFile:
        return VariantFile.read(self.folder(name) / _RESULT)

    def logits(self, name: str) -> npt.NDArray[np.float32]:
        path = self.folder(name) / _ANSWERS
        try:
            found: npt.NDArray[np.float32] = np.load(path)
        except (OSError, ValueError, EOFError) as error:
            raise _damaged(path) from error
        return found

    def model(self, name: str) -> bytes:
        path = self.folder(name) / _MODEL
        try:
            return path.read_bytes()
        except OSError as error:
            raise _damaged(path) from error

    def _source(self, method: Method) -> Network:
        """Return the network that a variant is made of."""
        if not isinstance(method, Int8) or method.of == UNCOMPRESSED:
            return self.network
        folder = self.folder(method.of)
        if not (folder / _RESULT).is_file():
            raise TrainingError(f"{method.of}, which it is made of, is not finished.")
        try:
            whole = keras.models.load_model(folder / _NETWORK, compile=False)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise _damaged(folder / _NETWORK) from error
        return network_from(whole, self.result(method.of).feature_map)

    def _answers(self, made: Variant) -> npt.NDArray[np.float32]:
        """Run a variant's file over the images of the fold; logits up to a constant, [n, 7]."""
        images, rows = self.prepared.images, self.rows.tuning
        with held_back():
            engine = LiteRTEngine(made.engine, made.model, self.config.training.cores)
        blocks = []
        try:
            with self.material.progress.track("Answering", len(rows), "images") as step:
                for start in range(0, len(rows), _BATCH):
                    batch = images[rows[start : start + _BATCH]]
                    blocks.append(engine.predict(batch))
                    step.advance(len(batch))
        finally:
            engine.close()
        probabilities = Prediction.concatenate(blocks).probabilities
        if not np.isfinite(probabilities).all():
            raise TrainingError(
                "Its answers are not numbers, so it has diverged. Lower its learning_rate."
            )
        return np.log(np.maximum(probabilities, _LEAST))

    def _identity(self, method: Method | None) -> dict[str, object]:
        compression, training = self.config.compression, self.config.training
        recipe = training.recipe if method is None else compression.recipe_of(method)
        settings = training.recipe.fine_tuning
        source = compression.variants.get(method.of) if isinstance(method, Int8) else None
        return {
            "of": None if source is None else source.model_dump(mode="json"),
            "method": None if method is None else method.model_dump(mode="json"),
            "recipe": recipe.model_dump(mode="json"),
            "seed": training.seed,
            "limit": training.limit,
            "fold": self.config.fold,
            "dataset": self.prepared.digest,
            "network": backbone_digest(self.network.whole),
            "tensorflow": tf.__version__,
            "arithmetic": arithmetic(bool(settings and settings.bfloat16)),
            "code_version": __version__,
        }


def _material(
    training: TrainingConfig, prepared: Prepared, rows: TrainingRows, progress: Progress
) -> Material:
    plans = rows.plan, originals(rows.watched, prepared.labels)
    learning, held_out = (
        Examples(AugmentedImages(prepared.images, plan), plan.label) for plan in plans
    )
    chosen = calibration_rows(prepared.labels, rows.used.train, training.seed)
    return Material(
        training=learning,
        held_out=held_out,
        calibration_images=prepared.images[chosen],
        weights=training.weights,
        seed=training.seed,
        progress=progress,
    )


def _network(
    config: CompressionConfig,
    prepared: Prepared,
    rows: TrainingRows,
    material: Material,
    progress: Progress,
) -> tuple[Network, str]:
    """Train the network of the fold, or load it; say which it was."""
    training = config.training
    make_reproducible(training.seed)
    if config.checkpoint is None:
        folder = config.folder / "network"
        trained = train_network(training, prepared, rows, folder, progress)
        return trained.network, "trained by the recipe, without this fold"
    settings = training.recipe.fine_tuning
    if settings is None:
        raise RecipeError("The recipe has no table fine_tuning.")
    chosen = with_all_layers_trainable(architecture(training.recipe.architecture), settings.dropout)
    network = build(chosen, "random", training.seed)
    expected: dict[str, Any] = {
        "recipe": training.recipe.model_dump(mode="json"),
        "limit": training.limit,
        "dataset": prepared.digest,
    }
    require_same_run(config.checkpoint, expected)
    load_checkpoint_average(
        network, config.checkpoint, training.recipe, material.held_out, config.fold
    )
    return network, "taken from the checkpoint of this fold"


def _result(made: Variant) -> VariantFile:
    return VariantFile(
        method=made.method,
        start=made.start,
        epochs=made.epochs,
        feature_map=made.network.feature_map,
        parameters=made.network.whole.count_params(),
        zeros=made.zeros,
        channels=made.channels,
        multiplications=multiplications(made.network.whole),
        engine=made.engine,
        file_bytes=len(made.model),
        compressed_bytes=compressed_bytes(made.model),
    )


def _record(
    workshop: _Workshop, chosen: dict[str, Method], reasons: dict[str, str], folds: int
) -> CompressionRecord:
    config, prepared, rows = workshop.config, workshop.prepared, workshop.rows.tuning
    finished = [name for name in (UNCOMPRESSED, *chosen) if name not in reasons]
    answers = {name: decided(workshop.logits(name), rows, prepared) for name in finished}
    found = compared(answers, UNCOMPRESSED, prepared)
    workshop.material.progress.say("Timing single images on one core")
    records = []
    for name in (UNCOMPRESSED, *chosen):
        if name in reasons:
            records.append(VariantRecord(name=name, reason=reasons[name]))
            continue
        agreement = found[name]["agreement"]
        records.append(
            VariantRecord(
                name=name,
                result=workshop.result(name),
                latency=litert_latency(workshop.model(name), 1),
                metrics=found[name]["metrics"],
                differences=None if name == UNCOMPRESSED else found[name]["differences"],
                equal_diagnoses=agreement["diagnoses"],
                equal_referrals=agreement["referrals"],
            )
        )
    training = config.training
    return CompressionRecord(
        name=config.compression.name,
        recipe=training.recipe.model_dump(mode="json"),
        start=workshop.start,
        fold=config.fold,
        folds=folds,
        parts=parts_of_fold(rows, prepared),
        images=len(rows),
        lesions=len(np.unique(merged_lesions(prepared.records)[rows])),
        dataset=prepared.digest,
        seed=training.seed,
        limit=training.limit,
        code_version=__version__,
        machine=this_machine(training.cores),
        variants=tuple(records),
    )


def _damaged(path: Path) -> DamagedCacheError:
    return DamagedCacheError(
        f"{path} cannot be read. Delete {path.parent} to make that variant again."
    )
