"""Run an exported model over images in this process, with the engines that the service runs."""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from lentigo_contract.errors import DamagedVersionError, EngineError
from lentigo_contract.imaging.quality import quality_issues
from lentigo_contract.manifest.engines import LITERT_FILES, EngineName
from lentigo_engines.base import Engine, Floats, Images, Prediction
from lentigo_trainer.data.dataset import decode
from lentigo_trainer.evaluation.images.image_sets import ImageSet
from lentigo_trainer.system.native_output import held_back, quiet_tensorflow
from lentigo_trainer.system.progress import Progress

BATCH: Final = 32


def open_engine(engine: EngineName, folder: Path, *, reference_kernels: bool = False) -> Engine:
    """Load a version with one engine, without its manifest, which may not be written yet.

    TensorFlow computes as this process has set it up, LiteRT with every core.

    Args:
        engine: which engine.
        folder: holds the SavedModel and `litert/`.
        reference_kernels: let LiteRT compute with them, see `LiteRTEngine`.

    Raises:
        DamagedVersionError: the model cannot be loaded, or has a different signature.
    """
    # A runtime takes seconds to import, and those who only read a report need none.
    with quiet_tensorflow():
        from lentigo_engines.litert import LiteRTEngine  # noqa: PLC0415
        from lentigo_engines.savedmodel import SavedModelEngine  # noqa: PLC0415

    try:
        if engine == "savedmodel":
            with held_back():
                return SavedModelEngine(folder)
        model = (folder / LITERT_FILES[engine]).read_bytes()
        threads = os.cpu_count() or 1
        return LiteRTEngine(engine, model, threads, reference_kernels=reference_kernels)
    except (EngineError, OSError) as error:
        raise DamagedVersionError(f"{folder}: {error}") from error


def predict_with(
    engine: EngineName,
    folder: Path,
    images: Images,
    progress: Progress,
    *,
    reference_kernels: bool = False,
) -> Prediction:
    """Run a version over images, in batches.

    Args:
        engine: which engine.
        folder: holds the SavedModel and `litert/`.
        images: uint8 [n, 224, 224, 3], at least one.
        progress: shows how many images are done.
        reference_kernels: see `open_engine`.

    Raises:
        DamagedVersionError: see `open_engine`.
        EngineError: the runtime failed.
    """
    blocks = []
    with (
        closing(open_engine(engine, folder, reference_kernels=reference_kernels)) as opened,
        progress.track(f"Evaluating {engine}", total=len(images), unit="images") as step,
    ):
        for start in range(0, len(images), BATCH):
            batch = images[start : start + BATCH]
            blocks.append(opened.predict(batch))
            step.advance(len(batch))
    return Prediction.concatenate(blocks)


def probabilities_of(folder: Path, images: Images, progress: Progress) -> Floats:
    """Return the SavedModel's probabilities, float32 [n, 7]; see `predict_with`."""
    return predict_with("savedmodel", folder, images, progress).probabilities


def predict_locally(
    version: Path,
    images: ImageSet,
    workers: int,
    progress: Progress,
    turn: Callable[[Images], Images] | None = None,
) -> tuple[Prediction, npt.NDArray[np.bool_]]:
    """Decode and predict in batches, so that no more than a few hundred images are in memory.

    Args:
        version: the version's folder.
        images: the images to predict.
        workers: threads that decode.
        progress: shows how many images are done.
        turn: changes each batch, uint8 [n, 224, 224, 3], before the version sees it.

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

        def predict_waiting() -> None:
            batch = np.stack(waiting)
            blocks.append(engine.predict(batch if turn is None else turn(batch)))
            waiting.clear()

        for _, image in decode(sources, workers, progress):
            waiting.append(image.pixels)
            with_issues.append(bool(quality_issues(image.pixels, image.width, image.height)))
            if len(waiting) == BATCH:
                predict_waiting()
        if waiting:
            predict_waiting()
    return Prediction.concatenate(blocks), np.array(with_issues)
