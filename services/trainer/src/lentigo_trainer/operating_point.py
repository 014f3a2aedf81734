"""The threshold from which the probability of malignancy means "refer"."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lentigo_contract.errors import EmptyClassError, MetricError
from lentigo_contract.manifest.engines import EngineName
from lentigo_trainer.answers import (
    FloatArray,
    LabelArray,
    checked,
    checked_truth,
    is_malignant,
    malignancy,
)

WANTED_SENSITIVITY: Final = 0.95


@dataclass(frozen=True, slots=True)
class Referrals:
    """What an engine did at a threshold.

    Attributes:
        sensitivity: share of the malignant examples referred.
        specificity: share of the benign examples not referred.
    """

    sensitivity: float
    specificity: float


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold on the summed probability of mel, bcc and akiec, and what it did where chosen.

    Figures on the very data a threshold was chosen on flatter it; `chosen_on` names those data.

    Attributes:
        threshold: refer from this probability on, 0..1.
        referrals: what it did on those data, for each engine it was chosen for.
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
        """Say how the threshold came about, in one sentence for the manifest."""
        engines = "; ".join(
            f"{engine}: sensitivity {did.sensitivity:.3f} (n = {self.malignant}), "
            f"specificity {did.specificity:.3f} (n = {self.benign})"
            for engine, did in self.referrals.items()
        )
        return (
            f"largest threshold with a sensitivity for mel, bcc and akiec of at least "
            f"{WANTED_SENSITIVITY:.2f} by each engine named here, on {self.chosen_on}; {engines}"
        )


def choose_operating_point(
    truth: LabelArray,
    answers: Mapping[EngineName, FloatArray],
    chosen_on: str,
    wanted: float = WANTED_SENSITIVITY,
) -> OperatingPoint:
    """Find the threshold with the fewest false alarms among those sensitive enough.

    A version has one threshold, whichever engine answers. So the smallest of the engines' own is
    taken: a lower one refers no lesion less, and a referral missed is worse than a false alarm.

    Args:
        truth: class numbers, shape [n].
        answers: probabilities by each engine that may serve, at least one; each of shape [n, 7],
            in rows that sum to 1, calibrated as they will be served.
        chosen_on: the data, in words; they should not be those the model is judged on.
        wanted: least sensitivity, above 0 and at most 1.

    Raises:
        EmptyClassError: no malignant or no benign example.
        MetricError: arrays of another shape or range, or an impossible sensitivity.
    """
    if not 0 < wanted <= 1:
        raise MetricError(f"A sensitivity of {wanted} cannot be asked for; it lies in (0, 1].")
    scores = {engine: malignancy(checked(truth, each)[1]) for engine, each in answers.items()}
    malignant = is_malignant(checked_truth(truth))
    if malignant.all() or not malignant.any():
        raise EmptyClassError(
            "Choosing a malignancy threshold takes at least one malignant and one benign example."
        )
    threshold = min(_largest_threshold(malignant, each, wanted) for each in scores.values())
    return OperatingPoint(
        threshold=threshold,
        referrals={
            engine: _referrals(malignant, each >= threshold) for engine, each in scores.items()
        },
        malignant=int(malignant.sum()),
        benign=int((~malignant).sum()),
        chosen_on=chosen_on,
    )


def _largest_threshold(malignant: NDArray[np.bool_], scores: FloatArray, wanted: float) -> float:
    """Find one engine's threshold.

    Every threshold between two neighbouring probabilities does the same on these data; the middle
    is taken, so that a rounding on another processor does not move an example across it.
    """
    highest_first = np.sort(scores[malignant])[::-1]
    # 0.95 * 20 must ask for 19 examples, also where the product is a rounding above 19.
    needed = int(np.ceil(wanted * highest_first.size - 1e-9))
    lowest_referred = highest_first[needed - 1]
    below = scores[scores < lowest_referred].max(initial=0.0)
    return float((lowest_referred + below) / 2)


def _referrals(malignant: NDArray[np.bool_], referred: NDArray[np.bool_]) -> Referrals:
    return Referrals(
        sensitivity=float(referred[malignant].mean()),
        specificity=float((~referred[~malignant]).mean()),
    )
