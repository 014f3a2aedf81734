"""A run's network, trained: what it learns from, and which of the two loops trains it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.augmentation import AugmentedImages, augmented_images
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.oversampling import Plan, originals
from lentigo_trainer.data.splits import TrainingRows
from lentigo_trainer.models.classifier import Network, build
from lentigo_trainer.models.registry import architecture, with_all_layers_trainable
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.training.feature_cache import FeatureKey, compute_features, pass_seconds, timed
from lentigo_trainer.training.fine_tuning import fine_tune
from lentigo_trainer.training.frozen_backbone import (
    BATCH,
    Examples,
    FrozenBackbone,
    backbone_digest,
    logits_of,
    train_head,
)
from lentigo_trainer.training.loop import EpochLog, EpochMetrics, Labels, finished_epochs
from lentigo_trainer.training.precision import in_bfloat16
from lentigo_trainer.training.work_folder import adopt, identity_of


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """A trained network.

    Attributes:
        network: with the values it is to be exported with.
        history: every epoch.
        validation: what was measured behind every epoch.
        feature_seconds: how long the pass of the training rows through the frozen layers took; 0
            where nothing is frozen, None where an earlier run did not keep the time.
    """

    network: Network
    history: tuple[EpochMetrics, ...]
    validation: Examples
    feature_seconds: float | None

    def validation_logits(self) -> tuple[npt.NDArray[np.float32], Labels]:
        """Give the logits [n, 7] of what was measured behind every epoch, and its labels."""
        labels = self.validation.labels
        return logits_of(self.network.head, self.validation.features, len(labels)), labels


def train_network(
    config: TrainingConfig,
    prepared: Prepared,
    rows: TrainingRows,
    folder: Path,
    progress: Progress,
) -> TrainedNetwork:
    """Build a run's network and train it, from the last finished epoch on.

    Args:
        config: how to train.
        prepared: what to train on.
        rows: which images and rows.
        folder: the run's.
        progress: told how far each step is.

    Raises:
        WeightsError: the first values are no use, or not to be had.
        WorkFolderError: the folder was made by another recipe.
        DamagedCacheError: the checkpoint or the kept features cannot be read.
        StorageError: the disk is full or not writable; the last finished epoch is kept.
    """
    chosen = architecture(config.recipe.architecture)
    whole = config.recipe.fine_tuning
    if whole:
        chosen = with_all_layers_trainable(chosen, whole.dropout)
    network = build(chosen, config.weights, config.seed)
    # Where the whole network learns, the result depends on all its first values.
    start = network.whole if whole else network.backbone
    adopt(folder, identity_of(config, prepared.digest, backbone_digest(start)))
    held_back = originals(rows.watched, prepared.labels)
    if network.learns_from_images:
        training, validation = (
            Examples(AugmentedImages(prepared.images, plan), plan.label)
            for plan in (rows.plan, held_back)
        )
    else:
        backbone = FrozenBackbone(network.backbone, config.cores, chosen.plain)
        training = _examples("train", backbone, prepared, rows.plan, folder, progress)
        validation = _examples("validation", backbone, prepared, held_back, folder, progress)
    checkpoint = folder / "checkpoint.npz"
    # Of a whole network the recipe says which arithmetic it learns in.
    with in_bfloat16(chosen.plain and network.learns_from_images and not whole):
        history = (fine_tune if whole else train_head)(
            network.head,
            training,
            validation,
            config.recipe,
            config.seed,
            checkpoint,
            progress,
            EpochLog(folder, finished_epochs(checkpoint)).add,
        )
    passes = features_of(folder, "train")
    spent = 0.0 if network.learns_from_images else pass_seconds(passes, len(rows.plan))
    return TrainedNetwork(network, history, validation, spent)


def features_of(folder: Path, name: str) -> Path:
    """Where a run keeps the features of its `train` or `validation` rows."""
    return folder / "features" / name


def _examples(
    name: str,
    backbone: FrozenBackbone,
    prepared: Prepared,
    plan: Plan,
    folder: Path,
    progress: Progress,
) -> Examples:
    key = FeatureKey(
        name=name,
        images=prepared.digest,
        plan=plan.digest(),
        backbone=backbone.digest,
        rows=len(plan),
        shape=backbone.shape,
    )

    def from_row(first: int) -> Iterator[npt.NDArray[np.float32]]:
        return iter(augmented_images(prepared.images, plan, BATCH, first).as_numpy_iterator())

    where = features_of(folder, name)
    return Examples(
        compute_features(backbone, timed(from_row, where), where, key, progress), plan.label
    )
