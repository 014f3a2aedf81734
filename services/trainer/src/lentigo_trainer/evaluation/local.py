"""Asking a published version here, in this process, by its SavedModel."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from lentigo_contract.imaging.quality import quality_issues
from lentigo_trainer.data.dataset import decode
from lentigo_trainer.evaluation.exported_model import (
    BATCH,
    ModelOutputs,
    concatenate,
    open_saved_model,
)
from lentigo_trainer.evaluation.image_sets import ImageSet
from lentigo_trainer.system.progress import Progress


def predict_locally(
    version: Path, images: ImageSet, workers: int, progress: Progress
) -> tuple[ModelOutputs, npt.NDArray[np.bool_]]:
    """Decode and ask, a batch at a time; no more than a few hundred images are in memory.

    Args:
        version: the version's folder.
        images: what to ask about.
        workers: threads that decode.
        progress: told how many images are done.

    Returns:
        What it said, in the order of the images, and of each, bool [n], whether it cannot be judged
        by its size and pixels.

    Raises:
        DamagedVersionError: the version cannot be loaded.
        DamagedImagesError: images that cannot be decoded, all of them named.
    """
    ask = open_saved_model(version)
    blocks: list[ModelOutputs] = []
    flawed: list[bool] = []
    waiting: list[npt.NDArray[np.uint8]] = []
    chosen = list(zip(images.names, images.readers, strict=True))
    for _, image in decode(chosen, workers, progress):
        waiting.append(image.pixels)
        flawed.append(bool(quality_issues(image.pixels, image.width, image.height)))
        if len(waiting) == BATCH:
            blocks.append(ask(np.stack(waiting)))
            waiting.clear()
    if waiting:
        blocks.append(ask(np.stack(waiting)))
    return concatenate(blocks), np.array(flawed)
