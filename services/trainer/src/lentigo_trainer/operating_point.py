"""The threshold from which the probability of malignancy means "refer"."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from lentigo_contract.errors import EmptyClassError, MetricError
from lentigo_trainer.answers import FloatArray, LabelArray, checked, is_malignant, malignancy

WANTED_SENSITIVITY: Final = 0.95


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold on the summed probability of mel, bcc and akiec, and what it did where chosen.

    Figures on the very data a threshold was chosen on flatter it; `chosen_on` names those data.

    Attributes:
        threshold: refer from this probability on, 0..1.
        sensitivity: share of the malignant examples referred, on those data.
        specificity: share of the benign examples not referred, on those data.
        malignant: how many malignant examples they hold.
        benign: how many benign ones.
        chosen_on: the data, in words.
    """

    threshold: float
    sensitivity: float
    specificity: float
    malignant: int
    benign: int
    chosen_on: str

    def source(self) -> str:
        """Say how the threshold came about, in one sentence for the manifest."""
        return (
            f"largest threshold with a sensitivity for mel, bcc and akiec of at least "
            f"{WANTED_SENSITIVITY:.2f} on {self.chosen_on}: sensitivity {self.sensitivity:.3f} "
            f"(n = {self.malignant}), specificity {self.specificity:.3f} (n = {self.benign})"
        )


def choose_operating_point(
    truth: LabelArray,
    probabilities: FloatArray,
    chosen_on: str,
    wanted: float = WANTED_SENSITIVITY,
) -> OperatingPoint:
    """Find the threshold with the fewest false alarms among those sensitive enough.

    Every threshold between two neighbouring probabilities does the same on these data; the middle
    is taken, so that a rounding in another engine does not move an example across it.

    Args:
        truth: class numbers, shape [n].
        probabilities: shape [n, 7]; rows sum to 1; calibrated as they will be served.
        chosen_on: the data, in words; they should not be those the model is judged on.
        wanted: least sensitivity, above 0 and at most 1.

    Raises:
        EmptyClassError: no malignant or no benign example.
        MetricError: arrays of another shape or range, or an impossible sensitivity.
    """
    if not 0 < wanted <= 1:
        raise MetricError(f"A sensitivity of {wanted} cannot be asked for; it lies in (0, 1].")
    truth, probabilities = checked(truth, probabilities)
    malignant, scores = is_malignant(truth), malignancy(probabilities)
    if malignant.all() or not malignant.any():
        raise EmptyClassError(
            "Choosing a malignancy threshold takes at least one malignant and one benign example."
        )
    highest_first = np.sort(scores[malignant])[::-1]
    # 0.95 * 20 must ask for 19 examples, also where the product is a rounding above 19.
    needed = int(np.ceil(wanted * highest_first.size - 1e-9))
    lowest_referred = highest_first[needed - 1]
    below = scores[scores < lowest_referred].max(initial=0.0)
    threshold = float((lowest_referred + below) / 2)
    referred = scores >= threshold
    return OperatingPoint(
        threshold=threshold,
        sensitivity=float(referred[malignant].mean()),
        specificity=float((~referred[~malignant]).mean()),
        malignant=int(malignant.sum()),
        benign=int((~malignant).sum()),
        chosen_on=chosen_on,
    )
