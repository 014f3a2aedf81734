"""The network as LiteRT models, float32 and int8, for the lighter engine and for phones."""

import os
import re
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from lentigo_contract.manifest.engines import LITERT_FILES
from lentigo_contract.manifest.manifest import Calibration
from lentigo_engines.base import SIGNATURE, Images
from lentigo_trainer.calibration.out_of_distribution import MahalanobisDetector
from lentigo_trainer.calibration.temperature import UNCALIBRATED
from lentigo_trainer.errors import TrainingError
from lentigo_trainer.export.quantization import quantizable, stays_in_float
from lentigo_trainer.export.saved_model import export_saved_model
from lentigo_trainer.models.classifier import Network
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import write_whole

CALIBRATION_PER_CLASS: Final = 29
"""Training images of each class whose activations give the ranges, 203 in all."""

ROUNDING_IMAGES: Final = 140
"""How many of them the weights are rounded for, 20 of each class."""

# What is not a convolution stays in float32: the scaling of the pixels, and the head behind the
# feature maps. It is 1 % of the arithmetic, and it is what decides.
_FLOAT_OPERATIONS: Final = (
    "ADD",
    "BATCH_MATMUL",
    "FULLY_CONNECTED",
    "GREATER",
    "MEAN",
    "MUL",
    "RELU",
    "SOFTMAX",
    "SUM",
)


def calibration_rows(
    labels: npt.NDArray[np.int64], train: npt.NDArray[np.intp], seed: int
) -> npt.NDArray[np.intp]:
    """Choose training images to calibrate on, the same number of every class that has so many.

    Args:
        labels: class of every image of the data set.
        train: the images that train; no other is chosen.
        seed: of the draw.

    Returns:
        Row numbers in turn of the classes, so that any first part has its share of each.
    """
    draw = np.random.default_rng(seed)
    drawn = [
        draw.permutation(train[labels[train] == label])[:CALIBRATION_PER_CLASS]
        for label in np.unique(labels[train])
    ]
    turns = range(max(map(len, drawn)))
    return np.array([rows[turn] for turn in turns for rows in drawn if turn < len(rows)], np.intp)


def export_litert(
    network: Network,
    folder: Path,
    ranges: Images,
    progress: Progress,
    calibration: Calibration = UNCALIBRATED,
    unlikeness: MahalanobisDetector | None = None,
) -> None:
    """Write `litert/float32.tflite` and `litert/int8.tflite` into a version's folder.

    Both have the SavedModel's signature, whose first dimension can be resized. In int8, weights
    have a scale for each channel, and the convolutions compute in whole numbers, but for the first
    and the depthwise ones.

    Args:
        network: the trained network; it is not changed.
        folder: holds its SavedModel already.
        ranges: uint8 [n, 224, 224, 3], as `calibration_rows` chooses them; they tell how far the
            network's values reach.
        progress: told how far it is.
        calibration: of the SavedModel's probabilities.
        unlikeness: the SavedModel's.

    Raises:
        TrainingError: the network cannot be converted.
        StorageError: the disk is full or not writable.
    """
    float32 = float32_model(folder)
    write_whole(folder / LITERT_FILES["litert"], float32)
    rounded = quantizable(network, ranges[:ROUNDING_IMAGES], progress)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".int8-") as unfinished:
        export_saved_model(rounded, Path(unfinished), calibration, unlikeness)
        int8 = _int8(Path(unfinished), ranges, stays_in_float(network.whole.layers), progress)
    write_whole(folder / LITERT_FILES["litert-int8"], int8)


def _converter(saved_model: Path) -> tf.lite.TFLiteConverter:
    return tf.lite.TFLiteConverter.from_saved_model(
        os.fspath(saved_model), signature_keys=[SIGNATURE]
    )


def float32_model(saved_model: Path) -> bytes:
    """Convert a SavedModel as it is.

    Raises:
        TrainingError: it cannot be converted.
    """
    try:
        model: bytes = _converter(saved_model).convert()
    except Exception as error:
        raise _not_convertible(error) from error
    return model


def _int8(
    saved_model: Path, calibration: Images, in_float: Sequence[str], progress: Progress
) -> bytes:
    converter = _converter(saved_model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]

    def representative() -> list[dict[str, Images]]:
        return [{"image": image[None]} for image in calibration]

    converter.representative_dataset = representative

    def quantized(nodes: Sequence[str]) -> bytes:
        # The only public way to leave some operations in float32; it debugs nothing here.
        model: bytes = tf.lite.experimental.QuantizationDebugger(
            converter=converter,
            debug_dataset=representative,
            debug_options=tf.lite.experimental.QuantizationDebugOptions(
                denylisted_ops=list(_FLOAT_OPERATIONS), denylisted_nodes=list(nodes)
            ),
        ).get_nondebug_quantized_model()
        return model

    progress.say(f"Quantising to int8 on {len(calibration)} training images")
    try:
        with warnings.catch_warnings():
            # It warns of the interpreter that it makes itself.
            warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter", UserWarning)
            # What the converter calls a layer is only known when it has converted it.
            model = quantized(_tensors_of(quantized(()), in_float))
    except Exception as error:
        raise _not_convertible(error) from error
    return model


def _tensors_of(model: bytes, layers: Sequence[str]) -> list[str]:
    """Name a model's tensors that come from some layers; Keras may have numbered their names."""
    of_layer = re.compile("|".join(rf"/{re.escape(layer)}(_\d+)?/" for layer in layers))
    details = Interpreter(model_content=model).get_tensor_details()
    return [each["name"] for each in details if of_layer.search(each["name"])]


def _not_convertible(error: Exception) -> TrainingError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return TrainingError(
        f"The network cannot be converted to LiteRT: {reason}. Check that it is built from layers "
        "that LiteRT knows; the SavedModel is not affected."
    )
