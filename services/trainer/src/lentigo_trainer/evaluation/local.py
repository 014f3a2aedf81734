"""Run a published version in this process, by its SavedModel."""

from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lentigo_contract.imaging.quality import quality_issues
from lentigo_engines.base import Prediction
from lentigo_trainer.data.dataset import decode
from lentigo_trainer.evaluation.exported_model import BATCH, open_engine
from lentigo_trainer.evaluation.image_sets import ImageSet
from lentigo_trainer.system.progress import Progress


def predict_locally(
    version: Path, images: ImageSet, workers: int, progress: Progress
) -> tuple[Prediction, npt.NDArray[np.bool_]]:
    """Decode and predict in batches, so that no more than a few hundred images are in memory.

    Args:
        version: the version's folder.
        images: the images to predict.
        workers: threads that decode.
        progress: shows how many images are done.

    Returns:
        The prediction, in the order of the images, and for each image, bool [n], whether it has a
        quality issue.

    Raises:
        DamagedVersionError: the version cannot be loaded.
        DamagedImagesError: images that cannot be decoded, all of them named.
        EngineError: the runtime failed.
    """
    blocks: list[Prediction] = []
    with_issues: list[bool] = []
    waiting: list[npt.NDArray[np.uint8]] = []
    sources = list(zip(images.names, images.readers, strict=True))
    with closing(open_engine("savedmodel", version)) as engine:
        for _, image in decode(sources, workers, progress):
            waiting.append(image.pixels)
            with_issues.append(bool(quality_issues(image.pixels, image.width, image.height)))
            if len(waiting) == BATCH:
                blocks.append(engine.predict(np.stack(waiting)))
                waiting.clear()
        if waiting:
            blocks.append(engine.predict(np.stack(waiting)))
    return Prediction.concatenate(blocks), np.array(with_issues)
