"""Calibration: what turns a network's logits into probabilities that mean what they say."""

from typing import Final

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from lentigo_contract.manifest.manifest import Calibration
from lentigo_trainer.temperature import best_temperature
from lentigo_trainer.temperatures_by_diagnosis import temperatures_by_diagnosis

UNCALIBRATED: Final = Calibration(method="none", temperature=1.0)


def calibration_on(
    logits: npt.NDArray[np.floating], labels: npt.NDArray[np.int64], fitted_on: str
) -> Calibration:
    """Calibrate on some images.

    Args:
        logits: [n, 7].
        labels: class numbers, [n].
        fitted_on: the images, in words.

    Raises:
        MetricError: see `best_temperature`.
    """
    shared = best_temperature(logits, labels)
    own = temperatures_by_diagnosis(logits, labels, shared)
    return Calibration(
        method="temperature by diagnosis",
        temperature=shared,
        by_diagnosis=tuple(own.tolist()),
        note=f"It was fitted by cross-entropy on {fitted_on} (n = {len(labels)}).",
    )


def calibrated(logits: keras.KerasTensor, calibration: Calibration) -> keras.KerasTensor:
    """Give the probabilities, as forward operations that any engine can run.

    Args:
        logits: float32 [n, 7].
        calibration: how; see there.

    Returns:
        float32 [n, 7], rows sum to 1.
    """
    if calibration.by_diagnosis is None:
        return ops.softmax(logits / calibration.temperature)
    sharpness = (1 / np.array(calibration.by_diagnosis)).astype(np.float32)
    factor = ops.sum(ops.softmax(logits) * sharpness, axis=1, keepdims=True)
    return ops.softmax(logits * factor)
