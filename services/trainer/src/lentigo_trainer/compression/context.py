"""The folder of a compression: the network of one fold, and every variant made of it.

The network learnt from all other folds. Each variant is made of it, fine-tuned on those other
folds, exported to LiteRT, and its answers for the images of the fold are kept. A variant that is
finished is not made again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_engines.base import Prediction
from lentigo_engines.litert import LiteRTEngine
from lentigo_trainer import __version__
from lentigo_trainer.compression.fold_network import (
    load_checkpoint_average,
    require_record,
    require_same_run,
)
from lentigo_trainer.compression.variant_folder import VariantFolder
from lentigo_trainer.compression.variants import (
    Material,
    Variant,
    make_variant,
    uncompressed,
)
from lentigo_trainer.config.compression_file import UNCOMPRESSED, Compression, Int8, Method
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.augmentation import AugmentedImages
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.extra.training_images import ExtraImages, open_extra_images
from lentigo_trainer.data.oversampling import originals
from lentigo_trainer.data.splits import TrainingRows, choose_rows, rows_without_fold
from lentigo_trainer.errors import RecipeError, TrainingError
from lentigo_trainer.export.litert import rounding_rows
from lentigo_trainer.models.architecture import with_all_layers_trainable
from lentigo_trainer.models.classifier import Network, build
from lentigo_trainer.models.registry import architecture
from lentigo_trainer.system.native_output import held_back
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import locked
from lentigo_trainer.training.feature_extraction.frozen_backbone import backbone_digest
from lentigo_trainer.training.fit import train_network
from lentigo_trainer.training.loop import Examples
from lentigo_trainer.training.precision import arithmetic, make_reproducible
from lentigo_trainer.training.work_folder import adopt

FOLDER: Final = "compression"
"""Folder of the work folder for compressions."""

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
        publish: name of the variant that is to be published; None for none.
    """

    compression: Compression
    training: TrainingConfig
    fold: int
    checkpoint: Path | None
    only: tuple[str, ...] = ()
    publish: str | None = None

    @property
    def folder(self) -> Path:
        """Where everything is kept."""
        limit = self.training.limit
        suffix = "" if limit is None else f"_{limit}"
        name = f"{self.compression.name}_fold_{self.fold}{suffix}"
        return self.training.work.root / FOLDER / name

    @property
    def chosen(self) -> dict[str, Method]:
        """The variants to make.

        Raises:
            RecipeError: there is none of a name.
        """
        published = () if self.publish is None else (self.publish,)
        self.compression.chosen(published)
        return self.compression.chosen((*self.only, *published) if self.only else ())


@dataclass(frozen=True, slots=True)
class CompressionContext:
    """Everything that making and measuring variants needs.

    Attributes:
        config: how to compress.
        prepared: the data set.
        rows: of the network of the fold; the fold is their tuning part.
        folds: how many folds there are.
        extra: images of imported sets that train besides; None without any.
        material: what variants are made from.
        network: of the fold.
        start: where its weights come from, in words.
    """

    config: CompressionConfig
    prepared: Prepared
    rows: TrainingRows
    folds: int
    extra: ExtraImages | None
    material: Material
    network: Network
    start: str

    def variant(self, name: str) -> VariantFolder:
        """Return the folder of a variant."""
        return VariantFolder(self.config.folder / name)

    def finish(self, name: str, method: Method | None) -> None:
        """Make a variant and measure its answers, unless that is done.

        Args:
            name: of the variant.
            method: how it is made; None for the network itself.

        Raises:
            LentigoError: as `make_variant`.
        """
        variant = self.variant(name)
        adopt(variant.path, self._identity(method))
        if variant.is_finished:
            return
        training = self.config.training
        make_reproducible(training.seed)
        if method is None:
            made = uncompressed(self.network, variant.path, self.start, training.recipe.epochs)
        else:
            recipe = self.config.compression.recipe_of(method)
            made = make_variant(method, self._source(method), recipe, self.material, variant.path)
        variant.keep(made, self._answers(made))

    def _source(self, method: Method) -> Network:
        """Return the network that a variant is made of."""
        if not isinstance(method, Int8) or method.of == UNCOMPRESSED:
            return self.network
        source = self.variant(method.of)
        if not source.is_finished:
            raise TrainingError(f"{method.of}, which it is made of, is not finished.")
        return source.network()

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
            "extra": _digests(self.extra),
            "network": backbone_digest(self.network.whole),
            "tensorflow": tf.__version__,
            "arithmetic": arithmetic(bool(settings and settings.bfloat16)),
            "code_version": __version__,
        }


@contextmanager
def open_context(
    config: CompressionConfig, prepared: Prepared, progress: Progress
) -> Iterator[CompressionContext]:
    """Lock the folder of a compression, and train or load the network of its fold.

    Args:
        config: how to compress.
        prepared: the data set.
        progress: shows how far each step is.

    Raises:
        RecipeError: no such fold or variant, or the recipe cannot train with imported sets.
        TrainingError: the network cannot be trained, or the checkpoint cannot be used.
        ImportedSetError: an imported set cannot be used.
        WorkFolderError: another run uses the folder, or it was made otherwise.
        StorageError: the disk is full or not writable; finished variants are kept.
    """
    training = config.training
    # A name that is wrong is told before hours of training.
    _ = config.chosen
    rows = choose_rows(training, prepared)
    if not 1 <= config.fold <= rows.folds.count:
        raise RecipeError(f"There is no fold {config.fold}; there are {rows.folds.count}.")
    if config.publish is not None and config.checkpoint is not None:
        require_record(config.checkpoint)
    extra = open_extra_images(training, prepared)
    others = rows_without_fold(rows, prepared.labels, config.fold)
    with locked(config.folder):
        material = _material(training, prepared, others, extra, progress)
        network, start = _network(config, prepared, others, material, progress)
        yield CompressionContext(
            config, prepared, others, rows.folds.count, extra, material, network, start
        )


def _material(
    training: TrainingConfig,
    prepared: Prepared,
    rows: TrainingRows,
    extra: ExtraImages | None,
    progress: Progress,
) -> Material:
    plans = rows.plan, originals(rows.watched, prepared.labels)
    learning, held_out = (
        Examples(AugmentedImages(prepared.images, plan), plan.label) for plan in plans
    )
    chosen = rounding_rows(prepared.labels, rows.used.train, training.seed)
    return Material(
        training=replace(learning, extra=extra),
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
        "extra": _digests(material.training.extra),
    }
    require_same_run(config.checkpoint, expected)
    load_checkpoint_average(
        network, config.checkpoint, training.recipe, material.held_out, config.fold
    )
    return network, "taken from the checkpoint of this fold"


def _digests(extra: ExtraImages | None) -> list[str] | None:
    """Return what `run.json` says of imported sets; None without any."""
    return None if extra is None else [part.digest for part in extra.summaries]
