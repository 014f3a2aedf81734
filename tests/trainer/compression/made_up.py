"""Made-up images for compressions that take seconds."""

import numpy as np
from numpy.typing import NDArray

from lentigo_trainer.training.loop import Examples


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
