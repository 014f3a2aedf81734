"""What a version's probabilities mean: at which prevalence they hold, and that of malignancy."""

import math
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from lentigo_contract.labels import CODES
from lentigo_contract.manifest.fields import Record

SUM_TOLERANCE: Final = 1e-6
"""How far the sum of the shares may be from 1: rounding, no more."""


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
