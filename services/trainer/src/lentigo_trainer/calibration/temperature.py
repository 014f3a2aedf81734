"""The temperature of all diagnoses alike: one number that makes probabilities mean what they say.

Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017): logits are divided by the
temperature with the least cross-entropy on images that taught the network nothing. It changes no
diagnosis, only how sure the network says it is.

A temperature for each diagnosis: a network may be too sure of one and too timid about another.

One temperature serves them all as best it can. A network whose answers were balanced, so that rare
diagnoses are not overlooked, is too sure when it gives a rare one, and not sure enough when it
gives the frequent one. docs/decisions/0016-class-temperatures.md has the figures.

Calibration: what turns a network's logits into probabilities that mean what they say.
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

HOTTEST: Final = 20.0
"""Both ends of the search: 20, and one twentieth. Without an end, a set on which every answer is
right would ask for a temperature of 0."""

_HALVINGS: Final = 60


def best_temperature(logits: npt.NDArray[np.floating], labels: npt.NDArray[np.int64]) -> float:
    """Find the temperature with the least mean cross-entropy.

    Cross-entropy is convex in 1 / temperature, so its slope has one change of sign, which is found
    by halving.

    Args:
        logits: [n, 7].
        labels: class numbers, [n].

    Raises:
        MetricError: no examples, or logits that are not numbers.
    """
    if not len(labels) or not np.isfinite(logits).all():
        raise MetricError(
            "A temperature takes examples with finite logits. Check that training did not diverge."
        )
    values = logits.astype(np.float64)
    right = values[np.arange(len(labels)), labels].mean()

    def slope(inverse: float) -> float:
        shares = softmax(values * inverse, axis=1)
        return float((shares * values).sum(axis=1).mean() - right)

    low, high = 1 / HOTTEST, HOTTEST
    for _ in range(_HALVINGS):
        # The ends lie apart by a factor, so the middle is the geometric one.
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return 1 / float(np.sqrt(low * high))


PULL: Final = 0.01
"""How strongly the temperatures are held together: a diagnosis with few answers keeps about the one
that it shares with the others. Chosen by cross-validation on the images that a temperature is
fitted on."""

# Keeps the logarithm of a confidence of exactly 0 or 1 finite.
_LEAST: Final = 1e-9

Floats = npt.NDArray[np.float64]


def class_temperatures(
    logits: npt.NDArray[np.floating], labels: npt.NDArray[np.int64], shared: float
) -> Floats:
    """Find the temperatures with which an answer is right as often as it says.

    What is made small is the cross-entropy between the highest probability of each answer and
    whether that answer is right. The other six, and so which diagnosis comes first, do not count.

    Args:
        logits: finite, [n, 7].
        labels: class numbers, [n].
        shared: the temperature that all of them begin from and are held to.

    Returns:
        Temperatures, [7], each above 0.
    """
    values = logits.astype(np.float64)
    weights = softmax(values, axis=1)
    first = values.argmax(axis=1)
    right = first == labels

    def loss(steps: Floats) -> tuple[float, Floats]:
        sharpness = np.exp(-steps) / shared
        answers = softmax(values * (weights @ sharpness)[:, None], axis=1)
        confidence = np.clip(answers.max(axis=1), _LEAST, 1 - _LEAST)
        spent = -np.where(right, np.log(confidence), np.log(1 - confidence))
        # By how much a logarithm of the confidence grows with an answer's factor, and the factor
        # with each step.
        growth = values.max(axis=1) - (answers * values).sum(axis=1)
        of_factor = -growth * np.where(right, 1.0, -confidence / (1 - confidence))
        slope = -(of_factor @ weights) * sharpness / len(labels)
        return float(spent.mean() + PULL * steps @ steps), slope + 2 * PULL * steps

    found = minimize(loss, np.zeros(values.shape[1]), jac=True, method="L-BFGS-B")
    temperatures: Floats = shared * np.exp(found.x)
    return temperatures


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
    own = class_temperatures(logits, labels, shared)
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
