"""Convert the network to LiteRT models, float32 and int8, for the lighter engine and for phones."""

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
from lentigo_contract.manifest.probabilities import Calibration
from lentigo_contract.wording import pluralize
from lentigo_engines.base import SIGNATURE, Images
from lentigo_trainer.calibration.out_of_distribution import MahalanobisDetector
from lentigo_trainer.calibration.temperature import UNCALIBRATED
from lentigo_trainer.errors import TrainingError
from lentigo_trainer.export.quantization import layers_in_float, round_to_int8
from lentigo_trainer.export.saved_model import export_saved_model
from lentigo_trainer.models.classifier import Network
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import write_whole

CALIBRATION_PER_CLASS: Final = 29
"""Training images of each class whose activations set the ranges, 203 in total."""

ROUNDING_IMAGES: Final = 140
"""Number of them that the weights are rounded on, 20 of each class."""

# Everything but the convolutions stays in float32: the scaling of the pixels, and the head after
# the feature maps. It is 1 % of the arithmetic, and the head makes the decision.
_FLOAT_OPERATIONS: Final = (
    "ADD",
    "BATCH_MATMUL",
    "FULLY_CONNECTED",
    "GREATER",
    "MEAN",
    "MUL",
    "RELU",
    "SOFTMAX",
    "SUB",
    "SUM",
)


def calibration_rows(
    labels: npt.NDArray[np.int64], train: npt.NDArray[np.intp], seed: int
) -> npt.NDArray[np.intp]:
    """Choose training images to calibrate on, the same number of each class if it has that many.

    Args:
        labels: class of every image of the data set.
        train: rows of the training images; no other is chosen.
        seed: of the random choice.

    Returns:
        Row numbers that cycle through the classes, so that any first part has its share of each.
    """
    generator = np.random.default_rng(seed)
    by_class = [
        generator.permutation(train[labels[train] == label])[:CALIBRATION_PER_CLASS]
        for label in np.unique(labels[train])
    ]
    turns = range(max(map(len, by_class)))
    return np.array(
        [rows[turn] for turn in turns for rows in by_class if turn < len(rows)], np.intp
    )


def export_litert(
    network: Network,
    folder: Path,
    calibration_images: Images,
    progress: Progress,
    calibration: Calibration = UNCALIBRATED,
    detector: MahalanobisDetector | None = None,
) -> None:
    """Write `litert/float32.tflite` and `litert/int8.tflite` into a version's folder.

    Both have the SavedModel's signature, whose first dimension can be resized. In int8, weights
    have a scale for each channel, and the convolutions compute in integers, except the first and
    the depthwise ones.

    Args:
        network: the trained network; it is not changed.
        folder: the version's folder, which already holds its SavedModel.
        calibration_images: uint8 [n, 224, 224, 3], as `calibration_rows` chooses them; they set the
            ranges of the activations.
        progress: receives the progress.
        calibration: of the SavedModel's probabilities.
        detector: the SavedModel's out-of-distribution detector.

    Raises:
        TrainingError: the network cannot be converted.
        StorageError: the disk is full or not writable.
    """
    float32 = float32_model(folder)
    write_whole(folder / LITERT_FILES["litert"], float32)
    rounded = round_to_int8(network, calibration_images[:ROUNDING_IMAGES], progress)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".int8-") as unfinished:
        export_saved_model(rounded, Path(unfinished), calibration, detector)
        int8 = int8_model(
            Path(unfinished), calibration_images, layers_in_float(network.whole.layers), progress
        )
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


def int8_model(
    saved_model: Path, images: Images, in_float: Sequence[str], progress: Progress
) -> bytes:
    """Convert a SavedModel to int8, with ranges of activations from some images.

    Args:
        saved_model: its folder.
        images: uint8 [n, 224, 224, 3], training images.
        in_float: names of layers that stay in float32; without any, every convolution is rounded.
        progress: is told when it starts.

    Raises:
        TrainingError: it cannot be converted.
    """
    converter = _converter(saved_model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]

    def representative() -> list[dict[str, Images]]:
        return [{"image": image[None]} for image in images]

    converter.representative_dataset = representative

    def quantized(nodes: Sequence[str]) -> bytes:
        # The only public way to keep some operations in float32; nothing is debugged here.
        model: bytes = tf.lite.experimental.QuantizationDebugger(
            converter=converter,
            debug_dataset=representative,
            debug_options=tf.lite.experimental.QuantizationDebugOptions(
                denylisted_ops=list(_FLOAT_OPERATIONS), denylisted_nodes=list(nodes)
            ),
        ).get_nondebug_quantized_model()
        return model

    progress.say(f"Quantising to int8 on {pluralize(len(images), 'training image')}")
    try:
        with warnings.catch_warnings():
            # It warns about an interpreter that it creates itself.
            warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter", UserWarning)
            model = quantized(())
            if in_float:
                # The converter's names of the layers are only known after a first conversion.
                model = quantized(_tensors_of(model, in_float))
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


def _tensors_of(model: bytes, layers: Sequence[str]) -> list[str]:
    """Return the names of the tensors of some layers; Keras may have numbered the names."""
    of_layer = re.compile("|".join(rf"/{re.escape(layer)}(_\d+)?/" for layer in layers))
    details = Interpreter(model_content=model).get_tensor_details()
    return [each["name"] for each in details if of_layer.search(each["name"])]


def _not_convertible(error: Exception) -> TrainingError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return TrainingError(
        f"The network cannot be converted to LiteRT: {reason}. Check that it is built from layers "
        "that LiteRT supports; the SavedModel is not affected."
    )
