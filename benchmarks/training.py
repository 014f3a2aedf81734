"""Compare the speed of our training of MobileNet with the paper's, on the same rows in one run.

    python benchmarks/training.py --source DIR --weights DIR [--limit 600] [--rounds 3]

The paper's way: Keras' `fit` on the whole network with its first layers frozen. Every epoch decodes
the JPEGs, resizes, augments and runs the frozen layers again, with what TensorFlow offers to speed
this up: parallel decoding and augmentation ahead of the training step. Our way: one pass through
the frozen layers, then epochs of `train_head` on their output.

Each round times one epoch of each way in turn, so a machine that slows down slows both; the medians
are compared. Both train the same layers from the same weights with the same optimiser. What happens
once before the first epoch is not timed: our decoding to an array, and compiling the steps.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_contract.system.resources import available_cores
from lentigo_trainer.config.recipe import Optimizer, Recipe
from lentigo_trainer.config.training import TrainingConfig, WorkFolder
from lentigo_trainer.data.augmentation import augment, augmented_images, maps_of
from lentigo_trainer.data.dataset import Prepared, prepare
from lentigo_trainer.data.ham10000 import find_source, open_images
from lentigo_trainer.data.oversampling import Plan
from lentigo_trainer.data.splits import choose_rows
from lentigo_trainer.models.architecture import Weights
from lentigo_trainer.models.classifier import Network, build
from lentigo_trainer.models.registry import architecture
from lentigo_trainer.system.progress import SilentProgress
from lentigo_trainer.training.feature_extraction.feature_cache import FeatureKey, compute_features
from lentigo_trainer.training.feature_extraction.frozen_backbone import BATCH, FrozenBackbone
from lentigo_trainer.training.feature_extraction.head import train_head
from lentigo_trainer.training.loop import Examples
from lentigo_trainer.training.work_folder import EpochMetrics

EPOCHS = 20
RECIPE = Recipe(epochs=1, optimizer=Optimizer(cooldown_epochs=0))
Seconds = float


@dataclass(frozen=True)
class Data:
    """The rows, decoded for our way and as JPEGs for the paper's."""

    prepared: Prepared
    plan: Plan
    jpegs: list[bytes]


def main() -> None:
    """Parse, time, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True, help="folder with HAM10000")
    parser.add_argument("--weights", type=Path, help="folder with ImageNet weights; else random")
    parser.add_argument("--limit", type=int, default=600, help="images the rows are made of")
    parser.add_argument("--rounds", type=int, default=3, help="timed epochs of each way")
    options = parser.parse_args()
    weights: Weights = options.weights or "random"
    with tempfile.TemporaryDirectory() as folder:
        data = read(options.source, Path(folder), options.limit)
        rows = len(data.plan)
        print(f"{rows:,} rows of {len(data.jpegs):,} images, {available_cores()} cores")
        paper = papers_epoch(build(architecture("mobilenet"), weights, seed=0), data)
        network = build(architecture("mobilenet"), weights, seed=0)
        features, once = frozen_pass(network, data, Path(folder))
        pairs = in_turn(network, features, Path(folder), paper, options.rounds)
    theirs, mine = (statistics.median(each) for each in zip(*pairs, strict=True))
    print(f"the paper's way: {theirs:.1f} s per epoch, {rows / theirs:.0f} rows per second")
    print(f"ours: {mine:.1f} s per epoch, {rows / mine:.0f} rows per second; once {once:.1f} s")
    print(f"ratio of an epoch: {theirs / mine:.2f}")
    whole = EPOCHS * theirs / (once + EPOCHS * mine)
    print(f"ratio of {EPOCHS} epochs, the frozen pass included: {whole:.2f}")


def read(source: Path, folder: Path, limit: int) -> Data:
    """Choose the rows as a run with a limit does, and read the JPEGs they come from."""
    found = find_source(source)
    prepared = prepare(found, folder / "prepared", available_cores(), SilentProgress())
    config = TrainingConfig(WorkFolder(folder), RECIPE, "random", 0, limit, available_cores())
    plan = choose_rows(config, prepared).plan
    images, source_rows = np.unique(plan.source, return_inverse=True)
    with open_images(found) as readers:
        jpegs = [readers[name]() for name in prepared.records["image_id"].iloc[images]]
    # The JPEGs have numbers of their own, other than those of the prepared array.
    numbered = Plan(source_rows.astype(np.int64), plan.label, plan.replica, plan.seed)
    few = Prepared(
        images=prepared.images[images],
        records=prepared.records.iloc[images],
        labels=prepared.labels[images],
        digests=(),
        digest=prepared.digest,
    )
    return Data(few, numbered, jpegs)


def papers_epoch(network: Network, data: Data) -> Callable[[], Seconds]:
    """An epoch of Keras' `fit` on the whole network, from JPEGs."""
    model = keras.models.clone_model(network.whole, clone_function=_plain)
    model.set_weights(network.whole.get_weights())
    model.compile(
        optimizer=keras.optimizers.SGD(
            RECIPE.optimizer.learning_rate, momentum=RECIPE.optimizer.momentum, nesterov=True
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    jpegs, maps = tf.constant(data.jpegs), maps_of(data.plan)

    def decoded(source: tf.Tensor, transform: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, ...]:
        image = tf.image.resize(
            tf.io.decode_jpeg(tf.gather(jpegs, source), channels=3), (MODEL_SIDE, MODEL_SIDE)
        )
        return augment(image[None], transform[None])[0], label

    rows = tf.data.Dataset.from_tensor_slices((data.plan.source, maps, data.plan.label))
    dataset = (
        rows.shuffle(len(data.plan), seed=0)
        .map(decoded, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(RECIPE.batch_size)
        .prefetch(tf.data.AUTOTUNE)
    )
    # Compiles the step.
    model.fit(dataset.take(1), shuffle=False, verbose=0)
    return lambda: timed(lambda: model.fit(dataset, shuffle=False, verbose=0))


def _plain(layer: keras.Layer) -> keras.Layer:
    """Keras' own layers in place of our faster ones, as the paper had them."""
    config = layer.get_config()
    if not isinstance(layer, keras.layers.BatchNormalization):
        return type(layer).from_config(config)
    return keras.layers.BatchNormalization.from_config(config)


def frozen_pass(network: Network, data: Data, folder: Path) -> tuple[Examples, Seconds]:
    """Our one pass through the frozen layers, and how long it takes."""
    backbone = FrozenBackbone(network.backbone, available_cores())
    key = FeatureKey(
        "rows", data.prepared.digest, "", backbone.digest, len(data.plan), backbone.shape
    )

    def from_row(first: int) -> Iterator[np.ndarray]:
        return iter(
            augmented_images(data.prepared.images, data.plan, BATCH, first).as_numpy_iterator()
        )

    started = time.perf_counter()
    found = compute_features(backbone, from_row, folder / "features", key, SilentProgress())
    return Examples(found, data.plan.label), time.perf_counter() - started


def in_turn(
    network: Network,
    features: Examples,
    folder: Path,
    paper: Callable[[], Seconds],
    rounds: int,
) -> list[tuple[Seconds, Seconds]]:
    """Seconds of the paper's epoch and of ours, trained in turn."""
    pairs: list[tuple[Seconds, Seconds]] = []

    def finished(metrics: EpochMetrics) -> None:
        # The first epoch compiles our step; the paper's was compiled before.
        if metrics.epoch > 1:
            pairs.append((paper(), metrics.seconds))

    one = Examples(features.features, features.labels[:1])
    recipe = RECIPE.for_epochs(1 + rounds)
    train_head(network.head, features, one, recipe, 0, folder / "c.npz", SilentProgress(), finished)
    return pairs


def timed(work: Callable[[], object]) -> Seconds:
    """Wall seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
