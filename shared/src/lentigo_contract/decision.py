"""From probabilities to decisions: the diagnosis, malignancy, and another prevalence.

Pure functions of the version's probabilities p, which hold at its declared prevalence. Arrays have
the shape [7] or [n, 7], their last axis in `labels.CODES` order, and rows that sum to 1.

- The diagnosis is decided for balance: as if the seven were equally frequent, by p / prevalence.
  That maximises the expected mean of the seven sensitivities, ISIC's balanced accuracy. Or it is
  the most probable one, which maximises the expected accuracy.
- A clinic with another prevalence moves the probabilities by Bayes' rule: Saerens, Latinne and
  Decaestecker, "Adjusting the Outputs of a Classifier to New a Priori Probabilities" (Neural
  Computation 14, 2002). The decision for balance does not depend on it, nor does the referral,
  whose threshold moves along.
"""

from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from lentigo_contract.labels import CODES, MALIGNANT
from lentigo_contract.manifest.probabilities import MalignancyCalibration, Prevalence

Floats = npt.NDArray[np.floating]
Float64s = npt.NDArray[np.float64]
Classes = npt.NDArray[np.int64]

DecidedBy = Literal["balanced", "probable"]
"""How a diagnosis is decided: as if the seven were equally frequent, or the most probable one."""

_MALIGNANT: Final = np.array(MALIGNANT)


def shares_of(prevalence: Prevalence) -> Float64s:
    """Return the shares in `labels.CODES` order, [7]."""
    return np.array([prevalence[code] for code in CODES], np.float64)


def balanced_scores(probabilities: Floats, prevalence: Prevalence) -> Float64s:
    """Return the probabilities as if the seven were equally frequent; rows sum to 1.

    Args:
        probabilities: [..., 7].
        prevalence: at which they hold.
    """
    return _reweighted(probabilities, -np.log(shares_of(prevalence)))


def decide(probabilities: Floats, prevalence: Prevalence | None) -> Classes:
    """Return the class number of each diagnosis: [..., 7] to [...].

    Of equal scores, the first in label order wins.

    Args:
        probabilities: [..., 7].
        prevalence: at which they hold: decide for balance; None decides for the most probable.
    """
    scores = probabilities if prevalence is None else balanced_scores(probabilities, prevalence)
    return np.asarray(scores.argmax(axis=-1), np.int64)


def at_prevalence(probabilities: Floats, declared: Prevalence, wanted: Prevalence) -> Float64s:
    """Move probabilities to another prevalence by Bayes' rule; rows sum to 1.

    Args:
        probabilities: [..., 7].
        declared: at which they hold.
        wanted: at which the returned ones hold.
    """
    return _reweighted(probabilities, np.log(shares_of(wanted)) - np.log(shares_of(declared)))


def malignant_probability(
    probabilities: Floats, calibration: MalignancyCalibration | None
) -> Float64s:
    """Return the probability of malignancy at the declared prevalence: [..., 7] to [...].

    Args:
        probabilities: [..., 7].
        calibration: of the version; None takes the sum over the malignant diagnoses.
    """
    rows = np.asarray(probabilities, np.float64)
    malignant, benign = rows[..., _MALIGNANT].sum(axis=-1), rows[..., ~_MALIGNANT].sum(axis=-1)
    if calibration is None:
        return np.asarray(np.minimum(malignant, 1.0), np.float64)
    with np.errstate(divide="ignore"):
        logit = np.log(malignant) - np.log(benign)
    return _sigmoid(calibration.slope * logit + calibration.intercept)


def log_odds_ratio(declared: Prevalence, wanted: Prevalence) -> float:
    """Return by how much the logit of malignancy moves with the prevalence.

    It is the logarithm of the ratio of malignant to benign lesions at `wanted`, minus that at
    `declared`.
    """
    return _log_odds(wanted) - _log_odds(declared)


def move_odds(probability: Floats | float, log_ratio: float) -> Float64s:
    """Multiply the odds of probabilities [...] by exp(log_ratio); 0 and 1 stay what they are.

    A probability of malignancy and its threshold that move by the same ratio keep their order.
    """
    values = np.asarray(probability, np.float64)
    with np.errstate(divide="ignore"):
        return _sigmoid(np.log(values) - np.log1p(-values) + log_ratio)


def _log_odds(prevalence: Prevalence) -> float:
    shares = shares_of(prevalence)
    return float(np.log(shares[_MALIGNANT].sum()) - np.log(shares[~_MALIGNANT].sum()))


def _reweighted(probabilities: Floats, log_weights: Float64s) -> Float64s:
    """Multiply by weights and scale to sum to 1, by logarithms, for shares of any size."""
    with np.errstate(divide="ignore"):
        logs = np.log(np.asarray(probabilities, np.float64)) + log_weights
    powers = np.exp(logs - logs.max(axis=-1, keepdims=True))
    scaled: Float64s = powers / powers.sum(axis=-1, keepdims=True)
    return scaled


def _sigmoid(logit: Float64s) -> Float64s:
    return np.asarray(np.exp(-np.logaddexp(0.0, -logit)), np.float64)
