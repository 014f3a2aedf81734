"""The operating point: from which probability of malignancy a lesion is referred.

It is chosen on images that did not train the network, for every engine that may serve.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

from lentigo_contract.manifest.engines import EngineName
from lentigo_trainer.errors import EmptyClassError, MetricError
from lentigo_trainer.metrics.arrays import (
    BoolArray,
    FloatArray,
    LabelArray,
    is_malignant,
    validate_labels,
)

WANTED_SENSITIVITY: Final = 0.95
CONFIDENCE: Final = 0.95
"""Of the interval whose lower end must reach the wanted sensitivity."""


@dataclass(frozen=True, slots=True)
class Referrals:
    """How an engine refers at a threshold.

    Attributes:
        sensitivity: share of the malignant examples referred.
        least_sensitivity: lower end of the confidence interval of the share of malignant lesions.
        specificity: share of the benign examples not referred.
    """

    sensitivity: float
    least_sensitivity: float
    specificity: float


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold on the probability of malignancy, and its performance.

    Metrics on the data that chose a threshold flatter it; `chosen_on` names those data.

    Attributes:
        threshold: refer from this probability on, 0..1.
        referrals: its performance on those data, for each engine it was chosen for.
        malignant: how many malignant examples they hold.
        benign: how many benign ones.
        chosen_on: the data, in words.
    """

    threshold: float
    referrals: Mapping[EngineName, Referrals]
    malignant: int
    benign: int
    chosen_on: str

    def source(self) -> str:
        """Describe how the threshold was chosen, in one sentence for the manifest."""
        engines = "; ".join(
            f"{engine}: sensitivity {rates.sensitivity:.3f} (n = {self.malignant}, lower bound by "
            f"lesion {rates.least_sensitivity:.3f}), specificity {rates.specificity:.3f} "
            f"(n = {self.benign})"
            for engine, rates in self.referrals.items()
        )
        return (
            f"largest threshold whose sensitivity for lesions of mel, bcc and akiec is at least "
            f"{WANTED_SENSITIVITY:.2f} by the lower end of its {CONFIDENCE:.0%} interval, by each "
            f"engine named here, or the one that refers all of them if none is; on "
            f"{self.chosen_on}; {engines}"
        )


def choose_operating_point(
    truth: LabelArray,
    scores: Mapping[EngineName, FloatArray],
    lesions: npt.NDArray[np.str_],
    chosen_on: str,
    wanted: float = WANTED_SENSITIVITY,
) -> OperatingPoint:
    """Find the threshold with the fewest false alarms among those that are surely sensitive enough.

    A sensitivity that is just reached on the images that chose the threshold is missed on half of
    all other sets, so the lower end of its confidence interval must reach it. The smallest of the
    engines' thresholds is used: a lower one still refers every lesion, and a missed referral is
    worse than a false alarm.

    Args:
        truth: class numbers, shape [n].
        scores: the probability of malignancy by each engine that may serve, at least one; each of
            shape [n], 0..1, calibrated as they will be served.
        lesions: the lesion of each image, shape [n].
        chosen_on: the data, in words; not those that the model is evaluated on.
        wanted: least sensitivity, above 0 and below 1.

    Raises:
        EmptyClassError: no malignant or no benign example.
        MetricError: scores of another shape or range, or an impossible sensitivity.
    """
    if not 0 < wanted < 1:
        raise MetricError(
            f"A sensitivity of {wanted} is not possible; it must be above 0 and below 1."
        )
    malignant = is_malignant(validate_labels(truth))
    validated = {
        engine: _validate_probabilities(each, len(malignant)) for engine, each in scores.items()
    }
    if malignant.all() or not malignant.any():
        raise EmptyClassError(
            "Choosing a malignancy threshold needs at least one malignant and one benign example."
        )
    shares = lesion_shares(lesions[malignant])
    threshold = min(
        _largest_threshold(malignant, each, shares, wanted) for each in validated.values()
    )
    return OperatingPoint(
        threshold=threshold,
        referrals={
            engine: _referrals(malignant, each >= threshold, shares)
            for engine, each in validated.items()
        },
        malignant=int(malignant.sum()),
        benign=int((~malignant).sum()),
        chosen_on=chosen_on,
    )


def lesion_shares(lesions: npt.NDArray[np.str_]) -> FloatArray:
    """Return each image's share of its lesion: [n], one over the lesion's number of images."""
    _, number, count = np.unique(lesions, return_inverse=True, return_counts=True)
    shares: FloatArray = 1 / count[number]
    return shares


def lower_bound(found: FloatArray | float, lesions: float) -> FloatArray:
    """Return the lower end of the confidence interval of a share of lesions.

    Clopper and Pearson, "The Use of Confidence or Fiducial Limits" (Biometrika 26, 1934). A lesion
    of which some images are found counts by their share; that varies less than a lesion that is
    found or not, so the bound is on the safe side.

    Args:
        found: number of lesions found, 0 to `lesions`.
        lesions: number of lesions.
    """
    values = np.asarray(found, np.float64)
    ends = beta.ppf((1 - CONFIDENCE) / 2, np.maximum(values, 1e-12), lesions - values + 1)
    return np.where(values > 0, ends, 0.0)


def _validate_probabilities(scores: FloatArray, count: int) -> FloatArray:
    values = np.asarray(scores, np.float64)
    if values.shape != (count,) or not ((values >= 0) & (values <= 1)).all():
        raise MetricError(
            f"The probabilities of malignancy have shape {values.shape} or values outside 0 to 1; "
            f"expected is one for each of {count} images. Check that training did not diverge."
        )
    return values


def _largest_threshold(
    malignant: BoolArray, scores: FloatArray, shares: FloatArray, wanted: float
) -> float:
    """Find one engine's threshold.

    Every threshold between two neighbouring probabilities does the same on these data. Use the
    middle, so that a rounding on another processor does not move an example across it.
    """
    order = np.argsort(-scores[malignant], kind="stable")
    highest_first = scores[malignant][order]
    lesions = round(shares.sum())
    bounds = lower_bound(np.minimum(np.cumsum(shares[order]), lesions), lesions)
    enough = np.flatnonzero(bounds >= wanted)
    lowest_referred = highest_first[enough[0]] if enough.size else highest_first[-1]
    below = scores[scores < lowest_referred].max(initial=0.0)
    return float((lowest_referred + below) / 2)


def _referrals(malignant: BoolArray, referred: BoolArray, shares: FloatArray) -> Referrals:
    lesions = round(shares.sum())
    found = min(float(shares @ referred[malignant]), lesions)
    return Referrals(
        sensitivity=float(referred[malignant].mean()),
        least_sensitivity=float(lower_bound(found, lesions)),
        specificity=float((~referred[~malignant]).mean()),
    )
