"""The probability of malignancy, calibrated by itself.

The sum of the probabilities of mel, bcc and akiec decides the referral, and calibration of the
seven diagnoses does not look at it. So its logit gets a slope and an intercept of its own (Platt,
"Probabilistic Outputs for Support Vector Machines", 1999).
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, logit

from lentigo_contract.manifest.probabilities import MalignancyCalibration
from lentigo_trainer.errors import EmptyClassError
from lentigo_trainer.metrics.arrays import FloatArray, LabelArray, is_malignant, malignancy

# Keeps the logit of a probability of exactly 0 or 1 finite; float32 cannot hold one nearer to 1.
_LEAST: Final = 1e-7

_STEEPEST: Final = 20.0


def fit_malignancy(
    truth: LabelArray, probabilities: FloatArray, fitted_on: str
) -> MalignancyCalibration:
    """Find the slope and the intercept with the least cross-entropy.

    Args:
        truth: class numbers, [n].
        probabilities: calibrated, [n, 7], rows sum to 1.
        fitted_on: the images, in words, for the manifest.

    Returns:
        For `decision.malignant_probability`.

    Raises:
        EmptyClassError: no malignant or no benign example.
    """
    malignant = is_malignant(truth)
    if malignant.all() or not malignant.any():
        raise EmptyClassError(
            "Calibrating malignancy needs at least one malignant and one benign example."
        )
    scores = logit(np.clip(malignancy(probabilities), _LEAST, 1 - _LEAST))

    def loss(parameters: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        slope, intercept = parameters
        predicted = slope * scores + intercept
        losses = np.logaddexp(0, predicted) - malignant * predicted
        wrong = (expit(predicted) - malignant) / len(scores)
        return float(losses.mean()), np.array([wrong @ scores, wrong.sum()])

    bounds = [(1 / _STEEPEST, _STEEPEST), (None, None)]
    slope, intercept = minimize(loss, np.array([1.0, 0.0]), jac=True, bounds=bounds).x
    return MalignancyCalibration(
        slope=float(slope),
        intercept=float(intercept),
        source=f"fitted by cross-entropy on {fitted_on} (n = {len(truth)})",
    )
