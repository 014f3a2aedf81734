"""Made-up images for compressions that take seconds."""

import keras
import numpy as np
from numpy.typing import NDArray

from lentigo_trainer.config.fine_tuning import FineTuning
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.models.architecture import Architecture
from lentigo_trainer.training.loop import Examples
from tests.trainer.networks import inverted_residual_features


class Images:
    """Images in memory, as `FeatureRows`."""

    def __init__(self, values: NDArray[np.uint8]) -> None:
        self.values = values

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return self.values[rows].astype(np.float32)


def coloured_examples(seed: int, rows: int = 28, side: int = 224) -> Examples:
    """Return images whose colour tells the class."""
    draw = np.random.default_rng(seed)
    labels = np.arange(rows) % 7
    colours = np.random.default_rng(99).integers(30, 226, (7, 1, 1, 3))
    values = colours[labels] + draw.integers(-20, 20, (rows, side, side, 3))
    return Examples(Images(values.astype(np.uint8)), labels)


def noise(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)


def _tiny_base(images: keras.KerasTensor, weights: str | None, seed: int) -> keras.Model:
    del weights
    keras.utils.set_random_seed(seed)
    features = inverted_residual_features(images, 32)
    return keras.Model(keras.utils.get_source_inputs(images), features)


TINY = Architecture(
    name="tiny",
    title="Tiny",
    base=_tiny_base,
    scaling="-1 to 1",
    weights_file=None,
    boundary="rescaling",
    hidden=(),
    dropout=0.1,
    epochs=1,
)


def tiny_recipe() -> Recipe:
    """Return a recipe for `TINY`, which has to be in the registry."""
    return Recipe(
        name="own",
        architecture="tiny",
        folds=2,
        epochs=1,
        batch_size=4,
        fine_tuning=FineTuning(images_per_epoch=16, ema_decay=0.5, bfloat16=False),
    )


RECIPE_FILE = """name = "own"
architecture = "tiny"
folds = 2
epochs = 1
batch_size = 4
[fine_tuning]
images_per_epoch = 16
ema_decay = 0.5
bfloat16 = false
"""
"""The same as a file."""

COMPRESSION_HEAD = """name = "c"
recipe = "own.toml"
fold = 2
[fine_tuning]
epochs = 1
stages = []
warm_up_epochs = 0.0
"""
"""A compression file of that recipe, without variants."""
