"""A training that takes seconds, with everything in it that workers have to share."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from lentigo_trainer.config.fine_tuning import FineTuning, Stage
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.models.classifier import FusedBatchNormalization
from lentigo_trainer.models.whole_batch import WholeBatchDropout
from lentigo_trainer.system.progress import SilentProgress
from lentigo_trainer.training.feature_extraction.head import train_head
from lentigo_trainer.training.fine_tuning.fine_tune import fine_tune
from lentigo_trainer.training.loop import Examples
from lentigo_trainer.training.precision import make_reproducible
from lentigo_trainer.training.workers import Workers

SETTINGS = FineTuning(
    images_per_epoch=28,
    backbone_learning_rate=0.01,
    head_learning_rate=0.05,
    ema_decay=0.5,
    bfloat16=False,
    mixup=0.4,
    stages=(Stage(side=64, epochs=1),),
)
# Three workers get 4, 4 and 2 rows of ten; the head's last batch has a single row.
RECIPES = {
    "fine_tuning": Recipe(epochs=2, batch_size=10, fine_tuning=SETTINGS),
    "head": Recipe(epochs=2, batch_size=10),
}


class Rows:
    def __init__(self, values: NDArray[np.float32]) -> None:
        self.values = values

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return self.values[rows]


def examples(seed: int, rows: int, side: int) -> Examples:
    """Images whose colour tells the class."""
    draw = np.random.default_rng(seed)
    labels = np.arange(rows) % 7
    colours = np.random.default_rng(99).integers(30, 226, (7, 1, 1, 3))
    values = colours[labels] + draw.integers(-20, 20, (rows, side, side, 3))
    return Examples(Rows(values.astype(np.float32)), labels)


def network(side: int) -> keras.Model:
    """Everything that looks beyond a row: normalisation, and dropout by the batch."""
    start = [keras.initializers.GlorotUniform(seed=n) for n in range(2)]
    images = keras.Input((side, side, 3))
    values = keras.layers.Rescaling(1 / 127.5, -1.0, name="rescaling")(images)
    values = keras.layers.Conv2D(8, 4, 4, use_bias=False, kernel_initializer=start[0])(values)
    values = FusedBatchNormalization()(values)
    values = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(values))
    values = WholeBatchDropout(0.3, seed=0, name="dropout")(values)
    return keras.Model(
        images, keras.layers.Dense(7, kernel_initializer=start[1], name="logits")(values)
    )


def train(
    kind: str, checkpoint: Path, workers: Workers, finished: Callable[[int], None]
) -> tuple[list[NDArray[np.float32]], list[float]]:
    """Train, and return the final weights and each epoch's loss, accuracy and validation loss."""
    make_reproducible(0)
    side = 224 if kind == "fine_tuning" else 16
    learning = network(side)
    history = (fine_tune if kind == "fine_tuning" else train_head)(
        learning,
        examples(1, 41, side),
        examples(2, 14, side),
        RECIPES[kind],
        0,
        checkpoint,
        SilentProgress(),
        lambda metrics: finished(metrics.epoch),
        workers,
    )
    numbers = [n for e in history for n in (e.loss, e.accuracy, e.validation_loss)]
    return learning.get_weights(), numbers
