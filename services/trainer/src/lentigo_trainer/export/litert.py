"""Convert the network to LiteRT models, float32 and int8, for the lighter engine and for phones."""

import os
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_contract.manifest.engines import LITERT_FILES
from lentigo_contract.manifest.probabilities import Calibration
from lentigo_engines.base import SIGNATURE, Images
from lentigo_trainer.calibration.out_of_distribution import MahalanobisDetector
from lentigo_trainer.calibration.temperature import UNCALIBRATED
from lentigo_trainer.errors import TrainingError
from lentigo_trainer.export.int8_kernels import with_int8_kernels
from lentigo_trainer.export.quantization import layers_in_float, round_to_int8
from lentigo_trainer.export.saved_model import export_saved_model
from lentigo_trainer.models.classifier import Network
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import write_whole

ROUNDING_PER_CLASS: Final = 20
"""Training images of each class that kernels are rounded on, 140 in total."""


def rounding_rows(
    labels: npt.NDArray[np.int64], train: npt.NDArray[np.intp], seed: int
) -> npt.NDArray[np.intp]:
    """Choose training images to round on, the same number of each class if it has that many.

    Args:
        labels: class of every image of the data set.
        train: rows of the training images; no other is chosen.
        seed: of the random choice.

    Returns:
        Row numbers that cycle through the classes, so that any first part has its share of each.
    """
    generator = np.random.default_rng(seed)
    by_class = [
        generator.permutation(train[labels[train] == label])[:ROUNDING_PER_CLASS]
        for label in np.unique(labels[train])
    ]
    turns = range(max(map(len, by_class)))
    return np.array(
        [rows[turn] for turn in turns for rows in by_class if turn < len(rows)], np.intp
    )


def export_litert(
    network: Network,
    folder: Path,
    images: Images,
    progress: Progress,
    calibration: Calibration = UNCALIBRATED,
    detector: MahalanobisDetector | None = None,
) -> None:
    """Write `litert/float32.tflite` and `litert/int8.tflite` into a version's folder.

    Both have the SavedModel's signature, whose first dimension can be resized. In int8, kernels
    have a scale for each channel, and most convolutions compute in integers; see
    `layers_in_float`.

    Args:
        network: the trained network; it is not changed.
        folder: the version's folder, which already holds its SavedModel.
        images: uint8 [n, 224, 224, 3], as `rounding_rows` chooses them; GPTQ rounds on them.
        progress: receives the progress.
        calibration: of the SavedModel's probabilities.
        detector: the SavedModel's out-of-distribution detector.

    Raises:
        TrainingError: the network cannot be converted.
        StorageError: the disk is full or not writable.
    """
    float32 = float32_model(folder)
    write_whole(folder / LITERT_FILES["litert"], float32)
    rounded = round_to_int8(network, images, progress)
    if rounded is not network:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".int8-") as unfinished:
            export_saved_model(rounded, Path(unfinished), calibration, detector)
            float32 = float32_model(Path(unfinished))
    int8 = with_int8_kernels(float32, layers_in_float(network.whole))
    write_whole(folder / LITERT_FILES["litert-int8"], int8)


def _converter(saved_model: Path) -> tf.lite.TFLiteConverter:
    return tf.lite.TFLiteConverter.from_saved_model(
        os.fspath(saved_model), signature_keys=[SIGNATURE]
    )


def float32_model(saved_model: Path) -> bytes:
    """Convert a SavedModel without rounding.

    Raises:
        TrainingError: it cannot be converted.
    """
    try:
        model: bytes = _converter(saved_model).convert()
    except Exception as error:
        raise _not_convertible(error) from error
    return model


def trained_int8_model(saved_model: Path) -> bytes:
    """Convert a SavedModel that has FakeQuant operations to int8, with the ranges of those.

    What lies between such operations computes in integers, and kernels get a scale for each
    channel; all else stays in float32. No image is needed.

    Args:
        saved_model: its folder.

    Raises:
        TrainingError: it cannot be converted.
    """
    converter = _converter(saved_model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    try:
        model: bytes = converter.convert()
    except Exception as error:
        raise _not_convertible(error) from error
    return model


def _not_convertible(error: Exception) -> TrainingError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return TrainingError(
        f"The network cannot be converted to LiteRT: {reason}. Check that it is built from layers "
        "that LiteRT supports; the SavedModel is not affected."
    )
