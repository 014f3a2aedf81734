"""Confirmed against said: how often what a version says is right, as far as feedback tells."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, get_args

from lentigo_contract.labels import CODES, DIAGNOSES
from lentigo_inference.audit.records import OTHER, Confirmation
from lentigo_inference.monitoring.calibration import Calibration, calibration_of
from lentigo_inference.monitoring.confirmed import Confirmed
from lentigo_inference.monitoring.intervals import FEWEST, Estimate, mean_of, share

_MELANOMA: Final = "mel"
_MALIGNANT: Final = frozenset(each.code for each in DIAGNOSES if each.malignant)


@dataclass(frozen=True, slots=True)
class Agreement:
    """The figures of a version on its confirmed answers.

    A diagnosis that was withheld is neither right nor wrong: such answers count for the referral
    alone. Lesions that are none of the seven count for no figure.

    Attributes:
        answers: how many images are confirmed.
        confirmed_by: how many of them by each means.
        other: how many are none of the seven diagnoses.
        withheld: how many of the rest got no diagnosis.
        since: time of the first of the feedback, UTC; None without any.
        until: of the last.
        accuracy: share of right diagnoses.
        balanced_accuracy: mean of the recalls of `averaged_over`.
        averaged_over: the diagnoses that have enough answers, by their codes.
        melanoma_sensitivity: share of the melanomas that were called so.
        malignant_sensitivity: share of the malignant lesions whose diagnosis was a malignant one.
        referral_sensitivity: share of the malignant lesions that were referred.
        referral_specificity: share of the benign lesions that were not.
        calibration: of the probability of malignancy.
    """

    answers: int
    confirmed_by: Mapping[str, int]
    other: int
    withheld: int
    since: str | None
    until: str | None
    accuracy: Estimate
    balanced_accuracy: Estimate
    averaged_over: tuple[str, ...]
    melanoma_sensitivity: Estimate
    malignant_sensitivity: Estimate
    referral_sensitivity: Estimate
    referral_specificity: Estimate
    calibration: Calibration

    def figures(self) -> dict[str, Estimate]:
        """Return every figure by its name."""
        return {
            "accuracy": self.accuracy,
            "balanced_accuracy": self.balanced_accuracy,
            "melanoma_sensitivity": self.melanoma_sensitivity,
            "malignant_sensitivity": self.malignant_sensitivity,
            "referral_sensitivity": self.referral_sensitivity,
            "referral_specificity": self.referral_specificity,
            "calibration_difference": self.calibration.difference,
            "calibration_error": self.calibration.error,
        }


def compare(confirmed: Sequence[Confirmed]) -> Agreement:
    """Compare what was said of images with what they turned out to be."""
    known = [each for each in confirmed if each.diagnosis != OTHER]
    said = [each for each in known if each.said is not None]
    malignant = [each for each in known if each.diagnosis in _MALIGNANT]
    benign = [each for each in known if each.diagnosis not in _MALIGNANT]
    recalls = {
        code: _share((each for each in said if each.diagnosis == code), _is_right) for code in CODES
    }
    enough = {code: each for code, each in recalls.items() if each.n >= FEWEST}
    predicted = [
        (each.malignancy, each.diagnosis in _MALIGNANT)
        for each in known
        if each.malignancy is not None
    ]
    times = [each.time for each in confirmed]
    counts = Counter(each.confirmed_by for each in confirmed)
    return Agreement(
        answers=len(confirmed),
        confirmed_by={how: counts[how] for how in get_args(Confirmation)},
        other=len(confirmed) - len(known),
        withheld=len(known) - len(said),
        since=min(times, default=None),
        until=max(times, default=None),
        accuracy=_share(said, _is_right),
        balanced_accuracy=mean_of(list(enough.values())),
        averaged_over=tuple(enough),
        melanoma_sensitivity=recalls[_MELANOMA],
        malignant_sensitivity=_share(
            (each for each in said if each.diagnosis in _MALIGNANT),
            lambda each: each.said in _MALIGNANT,
        ),
        referral_sensitivity=_share(malignant, lambda each: each.refer),
        referral_specificity=_share(benign, lambda each: not each.refer),
        calibration=calibration_of(
            [probability for probability, _ in predicted], [is_so for _, is_so in predicted]
        ),
    )


def _is_right(confirmed: Confirmed) -> bool:
    return confirmed.said == confirmed.diagnosis


def _share(among: Iterable[Confirmed], holds: Callable[[Confirmed], bool]) -> Estimate:
    found = [holds(each) for each in among]
    return share(sum(found), len(found))
