"""Calibration: make the probabilities match how often they are right.

Logits are divided by a temperature (Guo et al., "On Calibration of Modern Neural Networks", ICML
2017) and each diagnosis gets a bias (Alexandari, Kundaje and Shrikumar, "Maximum Likelihood with
Bias-Corrected Calibration is Hard-to-Beat at Label Shift Adaptation", ICML 2020), both with the
least cross-entropy on images that did not train the network. The biases hold the frequencies of
those images, so the probabilities are posteriors at that prevalence, and a higher logit never means
a lower probability. docs/decisions/0016-class-temperatures.md has what this replaces.
"""

from typing import Final

import keras
import numpy as np
import numpy.typing as npt
from keras import ops
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from lentigo_contract.manifest.probabilities import Calibration
from lentigo_trainer.errors import MetricError

Floats = npt.NDArray[np.float64]

UNCALIBRATED: Final = Calibration(method="none", temperature=1.0)

HOTTEST: Final = 20.0
"""Ends of the search: 20, and one twentieth. Without them, a set on which every prediction is right
would get a temperature of 0."""

_HALVINGS: Final = 60

PULL: Final = 0.01
"""How strongly a bias is pulled to 0, in nats per squared bias over all examples together."""


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
    temperature, biases = bias_corrected_temperature(logits, labels)
    return Calibration(
        method="bias-corrected temperature",
        temperature=temperature,
        biases=tuple(biases.tolist()),
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
        biases = np.array(calibration.biases or 0, np.float32)
        return ops.softmax(logits / calibration.temperature + biases)
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


def bias_corrected_temperature(
    logits: npt.NDArray[np.floating], labels: npt.NDArray[np.int64]
) -> tuple[float, Floats]:
    """Find the temperature, and the bias of each diagnosis, with the least mean cross-entropy.

    A network that is trained as if all diagnoses were equally frequent gets their frequencies back
    through the biases. The problem is convex in 1 / temperature and the biases; a class without
    examples keeps a bias of 0, and a weak pull to 0 keeps a perfectly separated one finite.

    Args:
        logits: [n, 7].
        labels: class numbers, [n].

    Returns:
        The temperature, and the biases, [7], with a mean of 0 over the classes with examples.

    Raises:
        MetricError: no examples, or logits that are not numbers.
    """
    start = best_temperature(logits, labels)
    values = logits.astype(np.float64)
    count, classes = values.shape
    seen = np.bincount(labels, minlength=classes) > 0
    one_hot = np.eye(classes)[labels]

    def loss(parameters: Floats) -> tuple[float, Floats]:
        sharpness, biases = parameters[0], parameters[1:] * seen
        shares = log_softmax(values * sharpness + biases, axis=1)
        pull = PULL / count
        wrong = (np.exp(shares) - one_hot) / count
        slope = np.array([(wrong * values).sum(), *(wrong.sum(axis=0) * seen + 2 * pull * biases)])
        return float(-shares[np.arange(count), labels].mean() + pull * biases @ biases), slope

    found = minimize(
        loss,
        np.array([1 / start, *np.zeros(classes)]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(1 / HOTTEST, HOTTEST), *[(None, None)] * classes],
    )
    biases: Floats = found.x[1:] * seen
    return 1 / float(found.x[0]), np.where(seen, biases - biases[seen].mean(), 0.0)
