"""Calibration by temperature: make the probabilities match how often predictions are right.

Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017): logits are divided by the
temperature with the least cross-entropy on images that did not train the network. This changes no
prediction, only its confidence.

One temperature for all diagnoses is a compromise. A network that is trained on balanced classes, so
that it does not overlook rare diagnoses, is overconfident when it predicts a rare one and
underconfident when it predicts the frequent one. So each diagnosis has its own temperature as well.
docs/decisions/0016-class-temperatures.md has the evidence.
"""

from typing import Final

import keras
import numpy as np
import numpy.typing as npt
from keras import ops
from scipy.optimize import minimize
from scipy.special import softmax

from lentigo_contract.manifest.manifest import Calibration
from lentigo_trainer.errors import MetricError

Floats = npt.NDArray[np.float64]

UNCALIBRATED: Final = Calibration(method="none", temperature=1.0)

HOTTEST: Final = 20.0
"""Ends of the search: 20, and one twentieth. Without them, a set on which every prediction is right
would get a temperature of 0."""

_HALVINGS: Final = 60

PULL: Final = 0.01
"""How strongly the temperatures are pulled together: a rarely predicted diagnosis keeps about the
shared one. Chosen by cross-validation on the images that a temperature is fitted to."""

# Keeps the logarithm of a confidence of exactly 0 or 1 finite.
_LEAST: Final = 1e-9


def calibration_on(
    logits: npt.NDArray[np.floating], labels: npt.NDArray[np.int64], fitted_on: str
) -> Calibration:
    """Fit a calibration to some images.

    Args:
        logits: [n, 7].
        labels: class numbers, [n].
        fitted_on: the images, in words, for the manifest.

    Raises:
        MetricError: see `best_temperature`.
    """
    shared = best_temperature(logits, labels)
    own = class_temperatures(logits, labels, shared)
    return Calibration(
        method="temperature by diagnosis",
        temperature=shared,
        by_diagnosis=tuple(own.tolist()),
        note=f"It was fitted by cross-entropy on {fitted_on} (n = {len(labels)}).",
    )


def calibrated(logits: keras.KerasTensor, calibration: Calibration) -> keras.KerasTensor:
    """Turn logits into calibrated probabilities, with operations that any engine can run.

    Args:
        logits: float32 [n, 7].
        calibration: see there.

    Returns:
        float32 [n, 7], rows sum to 1.
    """
    if calibration.by_diagnosis is None:
        return ops.softmax(logits / calibration.temperature)
    sharpness = (1 / np.array(calibration.by_diagnosis)).astype(np.float32)
    factor = ops.sum(ops.softmax(logits) * sharpness, axis=1, keepdims=True)
    return ops.softmax(logits * factor)


def best_temperature(logits: npt.NDArray[np.floating], labels: npt.NDArray[np.int64]) -> float:
    """Find the temperature with the least mean cross-entropy.

    Cross-entropy is convex in 1 / temperature, so its slope has one change of sign, which bisection
    finds.

    Args:
        logits: [n, 7].
        labels: class numbers, [n].

    Raises:
        MetricError: no examples, or logits that are not numbers.
    """
    if not len(labels) or not np.isfinite(logits).all():
        raise MetricError(
            "Fitting a temperature needs examples with finite logits. Check that training did not "
            "diverge."
        )
    values = logits.astype(np.float64)
    right = values[np.arange(len(labels)), labels].mean()

    def slope(inverse: float) -> float:
        shares = softmax(values * inverse, axis=1)
        return float((shares * values).sum(axis=1).mean() - right)

    low, high = 1 / HOTTEST, HOTTEST
    for _ in range(_HALVINGS):
        # The ends differ by a factor, so use the geometric mean.
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return 1 / float(np.sqrt(low * high))


def class_temperatures(
    logits: npt.NDArray[np.floating], labels: npt.NDArray[np.int64], shared: float
) -> Floats:
    """Find the temperatures with which predictions are right as often as their confidence says.

    They minimise the cross-entropy between the highest of the seven probabilities and whether that
    prediction is right. The other six probabilities do not count.

    Args:
        logits: finite, [n, 7].
        labels: class numbers, [n].
        shared: the temperature that all of them start from and are pulled to.

    Returns:
        Temperatures, [7], each above 0.
    """
    values = logits.astype(np.float64)
    weights = softmax(values, axis=1)
    first = values.argmax(axis=1)
    right = first == labels

    def loss(steps: Floats) -> tuple[float, Floats]:
        sharpness = np.exp(-steps) / shared
        probabilities = softmax(values * (weights @ sharpness)[:, None], axis=1)
        confidence = np.clip(probabilities.max(axis=1), _LEAST, 1 - _LEAST)
        losses = -np.where(right, np.log(confidence), np.log(1 - confidence))
        # How fast the logarithm of the confidence grows with the factor of its logits, and then
        # how fast the factor changes with each step.
        growth = values.max(axis=1) - (probabilities * values).sum(axis=1)
        of_factor = -growth * np.where(right, 1.0, -confidence / (1 - confidence))
        slope = -(of_factor @ weights) * sharpness / len(labels)
        return float(losses.mean() + PULL * steps @ steps), slope + 2 * PULL * steps

    found = minimize(loss, np.zeros(values.shape[1]), jac=True, method="L-BFGS-B")
    temperatures: Floats = shared * np.exp(found.x)
    return temperatures
