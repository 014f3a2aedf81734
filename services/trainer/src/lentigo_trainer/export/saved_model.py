"""Export a trained network as a SavedModel: pixels in, probabilities and activation maps out."""

from pathlib import Path

import keras
import tensorflow as tf

from lentigo_contract.errors import StorageError
from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_contract.manifest.manifest import MapGeometry
from lentigo_contract.manifest.probabilities import Calibration
from lentigo_engines.base import SIGNATURE
from lentigo_trainer.calibration.out_of_distribution import MahalanobisDetector
from lentigo_trainer.calibration.temperature import UNCALIBRATED, calibrated
from lentigo_trainer.export.class_activation_map import class_activation, explain
from lentigo_trainer.models.classifier import Network


def export_saved_model(
    network: Network,
    folder: Path,
    calibration: Calibration = UNCALIBRATED,
    detector: MahalanobisDetector | None = None,
) -> MapGeometry:
    """Write `saved_model.pb` and `variables/` into a folder.

    The signature `serving_default` takes `image`, uint8 [n, 224, 224, 3] RGB, any n, and returns
    `probabilities`, float32 [n, 7] (see `temperature.calibrated`); `activation_map`, float32
    [n, h, w, 7] (see `class_activation_map` for method and unit); and, with a detector,
    `unlikeness`, float32 [n] (see `out_of_distribution`). Scaling of the pixels is part of the
    network.

    Args:
        network: the trained network; it is not changed.
        folder: where to write; made if missing.
        calibration: of the probabilities.
        detector: out-of-distribution detector fitted to this network.

    Returns:
        The height and width of the activation map, in cells.

    Raises:
        TrainingError: the head has a layer whose gradient is not implemented.
        StorageError: the folder cannot be written, or the disk is full.
    """
    extra = [] if detector is None else [detector.layer]
    explained = explain(network.whole, network.feature_map, extra)
    extra_index = 1 + len(explained.dense)

    def serve(image: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = explained.model(tf.cast(image, tf.float32), training=False)
        features, *hidden, logits = outputs[:extra_index]
        served = {
            "probabilities": calibrated(logits, calibration),
            "activation_map": class_activation(features, hidden, explained),
        }
        if detector is not None:
            served["unlikeness"] = detector.of(outputs[extra_index])
        return served

    pixels = tf.TensorSpec((None, MODEL_SIDE, MODEL_SIDE, 3), tf.uint8, name="image")
    archive = keras.export.ExportArchive()
    archive.add_endpoint(SIGNATURE, serve, input_signature=[pixels])
    try:
        archive.write_out(str(folder), verbose=False)
    except (tf.errors.OpError, OSError) as error:
        full = isinstance(error, tf.errors.ResourceExhaustedError)
        why = "the disk is full" if full else str(error)
        raise StorageError(
            f"The SavedModel cannot be written to {folder}: {why}. Free some space there, or "
            "choose a folder that this user can write to."
        ) from error
    _, height, width, _ = explained.model.outputs[0].shape
    return MapGeometry(height=height, width=width)
