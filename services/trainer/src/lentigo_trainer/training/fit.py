"""Training of a run's network, from building it to the last epoch.

`train_network` builds the network and chooses one of two ways to train, by the recipe:

- without `fine_tuning`, the layers before the freeze boundary run once per row
  (`frozen_backbone`), their features are kept on disk (`feature_cache`), and `head.train_head`
  trains the layers after the boundary from them; if nothing is frozen, from the images;
- with `fine_tuning`, `fine_tuning.fine_tune` trains all layers from the images.

Both run their epochs through `loop.run_epochs`, which saves a checkpoint after each.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.augmentation import AugmentedImages, augmented_images
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.extra.training_images import open_extra_images
from lentigo_trainer.data.oversampling import Plan, originals
from lentigo_trainer.data.splits import TrainingRows
from lentigo_trainer.models.classifier import Network, build
from lentigo_trainer.models.registry import architecture, with_all_layers_trainable
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.training.epoch_log import EpochLog
from lentigo_trainer.training.feature_cache import FeatureKey, compute_features, pass_seconds, timed
from lentigo_trainer.training.fine_tuning import ResizedRows, at_side, fine_tune
from lentigo_trainer.training.frozen_backbone import BATCH, FrozenBackbone, backbone_digest
from lentigo_trainer.training.head import train_head
from lentigo_trainer.training.loop import Examples, Labels, finished_epochs, logits_of
from lentigo_trainer.training.precision import arithmetic, in_bfloat16
from lentigo_trainer.training.work_folder import Computation, EpochMetrics, adopt, identity_of


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """A trained network.

    Attributes:
        network: with the weights to export.
        history: the metrics of every epoch.
        validation: what was evaluated after every epoch.
        feature_seconds: how long the pass of the training rows through the frozen layers took; 0
            if nothing is frozen, None if an earlier run did not write down the time.
    """

    network: Network
    history: tuple[EpochMetrics, ...]
    validation: Examples
    feature_seconds: float | None

    def validation_logits(self, side: int = MODEL_SIDE) -> tuple[npt.NDArray[np.float32], Labels]:
        """Return the logits [n, 7] of the validation examples, and their labels.

        Args:
            side: of the images, in pixels; another than the full one only if nothing is frozen.
        """
        features, labels = self.validation.features, self.validation.labels
        head = self.network.head
        if side != MODEL_SIDE:
            head, features = at_side(head, side), ResizedRows(features, side)
        return logits_of(head, features, len(labels)), labels


def train_network(
    config: TrainingConfig,
    prepared: Prepared,
    rows: TrainingRows,
    folder: Path,
    progress: Progress,
) -> TrainedNetwork:
    """Build a run's network and train it, from the last finished epoch on.

    Args:
        config: how to train, and with which imported sets besides.
        prepared: the data set.
        rows: which images train and validate.
        folder: the run's folder.
        progress: shows how far each step is.

    Raises:
        WeightsError: the initial weights are unusable or unavailable.
        WorkFolderError: the folder was made by another recipe or computation.
        RecipeError: the recipe cannot train with imported sets.
        ImportedSetError: an imported set cannot be used.
        DivergedError: a loss is not finite; the last finished epoch is kept.
        DamagedCacheError: the checkpoint or the features on disk cannot be read.
        StorageError: the disk is full or not writable; the last finished epoch is kept.
    """
    chosen = architecture(config.recipe.architecture)
    fine_tuning = config.recipe.fine_tuning
    if fine_tuning:
        chosen = with_all_layers_trainable(chosen, fine_tuning.dropout)
    network = build(chosen, config.weights, config.seed)
    # With fine-tuning, the result depends on the initial weights of all layers.
    start = network.whole if fine_tuning else network.backbone
    extra = open_extra_images(config, prepared)
    sets = [] if extra is None else [part.digest for part in extra.summaries]
    # For fine-tuning, the recipe decides on bfloat16.
    allowed = fine_tuning.bfloat16 if fine_tuning else chosen.plain
    computation = Computation(tf.__version__, arithmetic(allowed))
    start_digest = backbone_digest(start)
    adopt(folder, identity_of(config, prepared.digest, start_digest, computation, sets))
    validation_plan = originals(rows.watched, prepared.labels)
    if network.learns_from_images:
        training, validation = (
            Examples(AugmentedImages(prepared.images, plan), plan.label)
            for plan in (rows.plan, validation_plan)
        )
        training = replace(training, extra=extra)
    else:
        backbone = FrozenBackbone(network.backbone, config.cores, chosen.plain)
        training = _examples("train", backbone, prepared, rows.plan, folder, progress)
        validation = _examples("validation", backbone, prepared, validation_plan, folder, progress)
    checkpoint = folder / "checkpoint.npz"
    with in_bfloat16(chosen.plain and network.learns_from_images and not fine_tuning):
        history = (fine_tune if fine_tuning else train_head)(
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
    seconds = 0.0 if network.learns_from_images else pass_seconds(passes, len(rows.plan))
    return TrainedNetwork(network, history, validation, seconds)


def features_of(folder: Path, name: str) -> Path:
    """Return where a run keeps the features of its `train` or `validation` rows."""
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
