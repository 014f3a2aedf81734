"""How the service decides: by the version's manifest and by the operator's settings.

`lentigo_contract.decision` has the arithmetic. What the settings change is what is said of a
lesion. Whether it is referred stays the same.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from lentigo_contract.decision import (
    Classes,
    DecidedBy,
    Float64s,
    PrevalenceSource,
    at_prevalence,
    decide,
    log_odds_ratio,
    malignant_probability,
    move_odds,
)
from lentigo_contract.errors import IncompatibleVersionError
from lentigo_contract.manifest.manifest import Manifest, Thresholds
from lentigo_contract.manifest.probabilities import MalignancyCalibration, Prevalence
from lentigo_engines.base import Floats

NOT_DECLARED: Final = "the version declares no prevalence"

ReferralReason = Literal["malignancy", "unconfident", "unusable"]
"""Why a physician should see a lesion."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is said of one image.

    Attributes:
        probabilities: float64 [7], each 0..1, at the prevalence in effect.
        ranked: the class numbers, the most probable first.
        diagnosis: the class number that was decided for.
        decided_by: how.
        confident: whether the highest of the network's probabilities reaches the abstention
            threshold; None if the version has none.
        malignancy: the probability of malignancy, 0..1, at the prevalence in effect.
        malignant: whether it reaches the threshold.
    """

    probabilities: Float64s
    ranked: tuple[int, ...]
    diagnosis: int
    decided_by: DecidedBy
    confident: bool | None
    malignancy: float
    malignant: bool


def referral_reasons(decision: Decision | None, *, accepted: bool) -> tuple[ReferralReason, ...]:
    """Return why to refer, if at all.

    Args:
        decision: about the image; None if it was withheld.
        accepted: whether the image can be judged.
    """
    reasons: list[ReferralReason] = []
    if decision is not None and decision.malignant:
        reasons.append("malignancy")
    if decision is not None and decision.confident is False:
        reasons.append("unconfident")
    if not accepted:
        reasons.append("unusable")
    return tuple(reasons)


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """How one version decides.

    Attributes:
        thresholds: of the version, on its own probabilities.
        declared: the prevalence that the version declares, if it does.
        clinic: the prevalence to move the probabilities to, if there is one.
        calibration: of malignancy, if the version has one.
        decided_by: how the diagnosis is decided.
        reason: why so.
    """

    thresholds: Thresholds
    declared: Prevalence | None
    clinic: Prevalence | None
    calibration: MalignancyCalibration | None
    decided_by: DecidedBy
    reason: str

    @property
    def prevalence(self) -> Prevalence | None:
        """At which the probabilities of the answers hold; None if it is unknown."""
        return self.clinic or self.declared

    @property
    def prevalence_source(self) -> PrevalenceSource | None:
        """Whose that is."""
        if self.clinic is not None:
            return "clinic"
        return None if self.declared is None else "version"

    @property
    def threshold(self) -> float:
        """On the probability of malignancy at that prevalence."""
        return self._moved(self.thresholds.malignancy)

    @property
    def settings(self) -> dict[str, Any]:
        """The operator's settings that mattered, as they are put on record."""
        settings: dict[str, Any] = {
            "decided_by": self.decided_by,
            "prevalence_source": self.prevalence_source,
        }
        return settings if self.clinic is None else {**settings, "prevalence": dict(self.clinic)}

    def diagnoses(self, probabilities: Floats) -> list[int]:
        """Return the class numbers decided for float32 [n, 7]."""
        if self.decided_by == "balanced":
            return _listed(decide(probabilities, self.declared))
        if self.declared and self.clinic:
            return _listed(decide(at_prevalence(probabilities, self.declared, self.clinic), None))
        return _listed(decide(probabilities, None))

    def decide(self, probabilities: Floats) -> Decision:
        """Decide about one image.

        Thresholds apply to the network's own probabilities, and only what is shown is moved. So no
        rounding and no prevalence changes which lesions are referred.

        Args:
            probabilities: float32 [7], finite.
        """
        # Rounding puts some below 0 or above 1.
        own = np.clip(probabilities.astype(np.float64), 0, 1)
        shown = own
        if self.declared and self.clinic:
            shown = at_prevalence(own, self.declared, self.clinic)
        # A stable sort, so equal probabilities stay in the order of the labels.
        ranked = tuple(np.argsort(-shown, kind="stable").tolist())
        malignancy = float(malignant_probability(own, self.calibration))
        abstention = self.thresholds.abstention
        return Decision(
            probabilities=shown,
            ranked=ranked,
            diagnosis=ranked[0]
            if self.decided_by == "probable"
            else int(decide(own, self.declared)),
            decided_by=self.decided_by,
            confident=None if abstention is None else bool(own.max() >= abstention),
            malignancy=self._moved(malignancy),
            malignant=malignancy >= self.thresholds.malignancy,
        )

    def _moved(self, probability: float) -> float:
        if not (self.declared and self.clinic):
            return probability
        return float(move_odds(probability, log_odds_ratio(self.declared, self.clinic)))


def _listed(classes: Classes) -> list[int]:
    found: list[int] = classes.tolist()
    return found


@dataclass(frozen=True, slots=True)
class DecisionPolicy:
    """What the operator set.

    Attributes:
        decision: how to decide, if the version can.
        clinic: the clinic's prevalence; None leaves the probabilities as they are.
    """

    decision: DecidedBy = "balanced"
    clinic: Prevalence | None = None

    def rule_for(self, manifest: Manifest) -> DecisionRule:
        """Return how a version decides.

        Raises:
            IncompatibleVersionError: the clinic has a prevalence, and the version declares none, so
                its probabilities cannot be moved.
        """
        declared = manifest.prevalence
        if declared is None and self.clinic is not None:
            raise IncompatibleVersionError(
                f"Version {manifest.version} declares no prevalence, so its probabilities cannot "
                "be moved to that of LENTIGO_PREVALENCE. Unset it, or publish a version that "
                "declares one."
            )
        decided_by: DecidedBy = "probable" if declared is None else self.decision
        if declared is None:
            reason = NOT_DECLARED
        elif decided_by == "probable":
            reason = "LENTIGO_DECISION=probable"
        else:
            reason = "the version declares its prevalence"
        return DecisionRule(
            thresholds=manifest.thresholds,
            declared=declared,
            clinic=self.clinic,
            calibration=manifest.malignancy_calibration,
            decided_by=decided_by,
            reason=reason,
        )
