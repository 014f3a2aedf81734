"""A temperature for each diagnosis: a network may be too sure of one and too timid about another.

One temperature serves them all as best it can. A network whose answers were balanced, so that rare
diagnoses are not overlooked, is too sure when it gives a rare one, and not sure enough when it
gives the frequent one. docs/decisions/0016-a-temperature-for-each-diagnosis.md has the figures.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import softmax

PULL: Final = 0.01
"""How strongly the temperatures are held together: a diagnosis with few answers keeps about the one
that it shares with the others. Chosen by cross-validation on the images that a temperature is
fitted on."""

# Keeps the logarithm of a confidence of exactly 0 or 1 finite.
_LEAST: Final = 1e-9

Floats = npt.NDArray[np.float64]


def temperatures_by_diagnosis(
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
