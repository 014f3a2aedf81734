"""What a version's probabilities mean: how they are calibrated, at which prevalence they hold."""

import math
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from lentigo_contract.labels import CODES
from lentigo_contract.manifest.fields import Record, Text

SUM_TOLERANCE: Final = 1e-6
"""How far the sum of the shares may be from 1: rounding, no more."""

Temperature = Annotated[float, Field(gt=0)]


def _seven_shares(shares: dict[str, float]) -> dict[str, float]:
    missing = [code for code in CODES if code not in shares]
    unknown = sorted(shares.keys() - set(CODES))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: not a diagnosis; they are {', '.join(CODES)}")
    if missing:
        raise ValueError(f"no share of {', '.join(missing)}")
    for code, share in shares.items():
        if not 0 < share < math.inf:
            raise ValueError(f"the share of {code} is {share:g}, and must be above 0")
    total = math.fsum(shares.values())
    if abs(total - 1) > SUM_TOLERANCE:
        raise ValueError(f"the shares sum to {total:.6g}, and must sum to 1")
    return {code: shares[code] for code in CODES}


Prevalence = Annotated[dict[str, float], AfterValidator(_seven_shares)]
"""The share of each diagnosis among the lesions, by code: seven above 0 that sum to 1."""


class MalignancyCalibration(Record):
    """How the probability of malignancy follows from the seven: Platt scaling.

    P(malignant) = sigmoid(slope * logit(p_mel + p_bcc + p_akiec) + intercept). Platt,
    "Probabilistic Outputs for Support Vector Machines and Comparisons to Regularized Likelihood
    Methods" (Advances in Large Margin Classifiers, 1999). A positive slope keeps the order of the
    images, so it changes no ROC curve.

    Attributes:
        slope: above 0; 1 with an intercept of 0 changes nothing.
        intercept: of the logit.
        source: which answers it was fitted on, in words.
    """

    slope: Annotated[float, Field(gt=0)]
    intercept: float
    source: str


class Calibration(Record):
    """How the probabilities were calibrated: logits are divided by a temperature (1 = not at all).

    Temperature scaling: Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017). With
    the bias-corrected temperature, each diagnosis also has a bias that is added after the division
    (Alexandari, Kundaje and Shrikumar, "Maximum Likelihood with Bias-Corrected Calibration is
    Hard-to-Beat at Label Shift Adaptation", ICML 2020). Where each diagnosis has a temperature of
    its own, logits z are multiplied by the mean of 1 / T over the diagnoses, weighted by
    softmax(z); versions up to 3 have this.

    Attributes:
        method: which of these.
        temperature: the one for all; where each has its own, what a single one would have been.
        by_diagnosis: each diagnosis' own, in the order of the labels; None where all share one.
        biases: of the bias-corrected temperature, in the order of the labels; None otherwise.
        note: how it was chosen.
    """

    method: Literal["none", "temperature", "temperature by diagnosis", "bias-corrected temperature"]
    temperature: Temperature
    by_diagnosis: Annotated[
        tuple[Temperature, ...] | None,
        Field(strict=False, min_length=len(CODES), max_length=len(CODES)),
    ] = None
    biases: Annotated[
        tuple[Annotated[float, Field(allow_inf_nan=False)], ...] | None,
        Field(strict=False, min_length=len(CODES), max_length=len(CODES)),
    ] = None
    note: Text = ""

    @model_validator(mode="after")
    def _has_what_its_method_takes(self) -> Self:
        if (self.biases is None) == (self.method == "bias-corrected temperature"):
            raise ValueError("biases belong to the bias-corrected temperature, and to no other")
        if (self.by_diagnosis is None) == (self.method == "temperature by diagnosis"):
            raise ValueError(
                "temperatures by diagnosis belong to the method of that name, and to no other"
            )
        return self
