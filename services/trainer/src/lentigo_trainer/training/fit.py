"""Training of a run's network, from building it to the last epoch.

`train_network` builds the network and chooses one of two ways to train, by the recipe:

- without `fine_tuning`, by the folder `feature_extraction`: the layers before the freeze boundary
  run once per row (`frozen_backbone`), their features are kept on disk (`feature_cache`), and
  `head.train_head` trains the layers after the boundary from them; if nothing is frozen, from the
  images;
- with `fine_tuning`, by the folder of that name: `fine_tune` trains all layers from the images.

Both run their epochs through `loop.run_epochs`, which saves a checkpoint after each.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.augmentation import AugmentedImages, augmented_images
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.extra.training_images import ExtraImages, open_extra_images
from lentigo_trainer.data.oversampling import Plan, originals
from lentigo_trainer.data.splits import TrainingRows
from lentigo_trainer.models.architecture import Architecture, with_all_layers_trainable
from lentigo_trainer.models.classifier import Network, build
from lentigo_trainer.models.registry import architecture
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.training.feature_extraction.feature_cache import (
    FeatureFile,
    FeatureKey,
    compute_features,
    pass_seconds,
    timed,
)
from lentigo_trainer.training.feature_extraction.frozen_backbone import (
    BATCH,
    FrozenBackbone,
    backbone_digest,
)
from lentigo_trainer.training.feature_extraction.head import train_head
from lentigo_trainer.training.fine_tuning.distillation import digest_of, teacher_logits
from lentigo_trainer.training.fine_tuning.fine_tune import ResizedRows, at_side, fine_tune
from lentigo_trainer.training.loop import Examples, Labels, finished_epochs, logits_of
from lentigo_trainer.training.precision import arithmetic, in_bfloat16, make_reproducible
from lentigo_trainer.training.tracking.epoch_log import EpochLog
from lentigo_trainer.training.tracking.mlflow import TrackedRun, tracked
from lentigo_trainer.training.work_folder import Computation, EpochMetrics, adopt, identity_of
from lentigo_trainer.training.workers import ALONE, Workers


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """A trained network.

    Attributes:
        network: with the weights to export.
        history: the metrics of every epoch.
        validation: what was evaluated after every epoch.
        feature_seconds: how long the pass of the training rows through the frozen layers took; 0
            if nothing is frozen, None if an earlier run did not write down the time.
        workers: those who trained it.
    """

    network: Network
    history: tuple[EpochMetrics, ...]
    validation: Examples
    feature_seconds: float | None
    workers: Workers = ALONE

    def validation_logits(self, side: int = MODEL_SIDE) -> tuple[npt.NDArray[np.float32], Labels]:
        """Return the logits [n, 7] of the validation examples, and their labels.

        All workers have to call it.

        Args:
            side: of the images, in pixels; another than the full one only if nothing is frozen.
        """
        features, labels = self.validation.features, self.validation.labels
        head = self.network.head
        if side != MODEL_SIDE:
            head, features = at_side(head, side), ResizedRows(features, side)
        return logits_of(head, features, len(labels), self.workers), labels


@dataclass(frozen=True, slots=True)
class _Start:
    """What a training starts from.

    Attributes:
        chosen: the architecture, as the recipe trains it.
        network: untrained.
        extra: images of imported sets; None without any.
        identity: of the run, see `work_folder.identity_of`.
    """

    chosen: Architecture
    network: Network
    extra: ExtraImages | None
    identity: dict[str, object]


def run_identity(config: TrainingConfig, prepared: Prepared) -> dict[str, object]:
    """Return what the results of a run and of its folds depend on; it builds the network.

    Raises:
        WeightsError: the initial weights are unusable or unavailable.
        RecipeError, ImportedSetError, EvaluationReportError: as `train_network`.
    """
    return _start(config, prepared).identity


def _start(config: TrainingConfig, prepared: Prepared) -> _Start:
    # A network starts alike whatever the process trained before it, so a resumed run finds its own.
    make_reproducible(config.seed)
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
    identity = identity_of(
        config, prepared.digest, backbone_digest(start), computation, sets, digest_of(config)
    )
    return _Start(chosen, network, extra, identity)


def train_network(
    config: TrainingConfig,
    prepared: Prepared,
    rows: TrainingRows,
    folder: Path,
    progress: Progress,
    workers: Workers = ALONE,
) -> TrainedNetwork:
    """Build a run's network and train it, from the last finished epoch on.

    Args:
        config: how to train, and with which imported sets besides.
        prepared: the data set.
        rows: which images train and validate.
        folder: the run's folder.
        progress: shows how far each step is.
        workers: those who train it; only the chief writes into the folder, but for the features
            of each worker's own rows.

    Raises:
        ClusterError: the workers do not train the same, or cannot share a batch.
        WeightsError: the initial weights are unusable or unavailable.
        WorkFolderError: the folder was made by another recipe or computation.
        RecipeError: the recipe cannot train with imported sets, or lacks its teacher.
        EvaluationReportError: the teacher's answers cannot be read, or are of other images.
        ImportedSetError: an imported set cannot be used.
        TrackingError: runs are to be tracked in MLflow, which is missing or does not answer.
        DivergedError: a loss is not finite; the last finished epoch is kept.
        DamagedCacheError: the checkpoint or the features on disk cannot be read.
        StorageError: the disk is full or not writable; the last finished epoch is kept.
    """
    start = _start(config, prepared)
    chosen, network, extra, identity = start.chosen, start.network, start.extra, start.identity
    fine_tuning = config.recipe.fine_tuning
    workers.require_same(identity)
    if workers.chief:
        adopt(folder, identity)
    validation_plan = originals(rows.watched, prepared.labels)
    if network.learns_from_images:
        training, validation = (
            Examples(AugmentedImages(prepared.images, plan), plan.label)
            for plan in (rows.plan, validation_plan)
        )
        teacher = teacher_logits(config, prepared, rows.plan.source)
        training = replace(training, extra=extra, teacher=teacher)
    else:
        backbone = FrozenBackbone(network.backbone, config.cores, chosen.plain)
        training, validation = (
            _examples(name, backbone, prepared, plan, folder, progress, workers)
            for name, plan in (("train", rows.plan), ("validation", validation_plan))
        )
    checkpoint = checkpoint_of(folder)

    def train(finished: Callable[[EpochMetrics], None] | None) -> tuple[EpochMetrics, ...]:
        return (fine_tune if fine_tuning else train_head)(
            network.head,
            training,
            validation,
            config.recipe,
            config.seed,
            checkpoint,
            progress,
            finished,
            workers,
        )

    with in_bfloat16(chosen.plain and network.learns_from_images and not fine_tuning):
        if workers.chief:
            run_name = config.work.run(config.recipe).name
            name = run_name if folder.name == run_name else f"{run_name}/{folder.name}"
            with tracked(folder, name, identity, progress) as run:
                history = _train_and_log(train, folder, run, config.pause_after)
        else:
            history = train(None)
    seconds: float | None = 0.0
    if not network.learns_from_images:
        own = workers.own(np.arange(len(rows.plan)))
        seconds = pass_seconds(features_of(folder, "train", workers), len(own))
    return TrainedNetwork(network, history, validation, seconds, workers)


class _PausedError(Exception):
    """The epochs after this one are for later."""


def _train_and_log(
    train: Callable[[Callable[[EpochMetrics], None]], tuple[EpochMetrics, ...]],
    folder: Path,
    run: TrackedRun | None,
    pause_after: int | None,
) -> tuple[EpochMetrics, ...]:
    """Train, write down the metrics of every epoch, and stop where the rest is for later."""
    before = finished_epochs(checkpoint_of(folder))
    if pause_after is not None and len(before) >= pause_after:
        return before
    log = EpochLog(folder, before)

    def finished(epoch: EpochMetrics) -> None:
        log.add(epoch)
        if run is not None:
            run.add_epoch(epoch)
        if epoch.epoch == pause_after:
            raise _PausedError

    try:
        return train(finished)
    except _PausedError:
        return finished_epochs(checkpoint_of(folder))


def checkpoint_of(folder: Path) -> Path:
    """Return where a run keeps the state after its last finished epoch."""
    return folder / "checkpoint.npz"


def features_of(folder: Path, name: str, workers: Workers = ALONE) -> Path:
    """Return where a worker keeps the features of its `train` or `validation` rows."""
    part = "" if workers.count == 1 else f"_{workers.number + 1}_of_{workers.count}"
    return folder / "features" / f"{name}{part}"


class _OwnRows:
    """Features of every n-th row only, read by the numbers that these rows have among all."""

    def __init__(self, features: FeatureFile, workers: Workers) -> None:
        self._features = features
        self._count = workers.count

    def take(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float16]:
        return self._features.take(rows // self._count)


def _examples(
    name: str,
    backbone: FrozenBackbone,
    prepared: Prepared,
    plan: Plan,
    folder: Path,
    progress: Progress,
    workers: Workers,
) -> Examples:
    own = plan if workers.count == 1 else plan.take(workers.own(np.arange(len(plan))))
    key = FeatureKey(
        name=name,
        images=prepared.digest,
        plan=own.digest(),
        backbone=backbone.digest,
        rows=len(own),
        shape=backbone.shape,
    )

    def from_row(first: int) -> Iterator[npt.NDArray[np.float32]]:
        return iter(augmented_images(prepared.images, own, BATCH, first).as_numpy_iterator())

    where = features_of(folder, name, workers)
    features = compute_features(backbone, timed(from_row, where), where, key, progress)
    return Examples(_OwnRows(features, workers), plan.label)
