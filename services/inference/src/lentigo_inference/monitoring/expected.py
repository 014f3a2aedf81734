"""What a version's own figures lead to expect of the images that it is sent."""

from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
import numpy.typing as npt
from pydantic import Field, TypeAdapter, ValidationError

from lentigo_contract.decision import shares_of
from lentigo_contract.labels import CODES
from lentigo_contract.manifest.manifest import Manifest
from lentigo_inference.serving.decision import DecisionRule

_Row = Annotated[
    tuple[Annotated[int, Field(ge=0, strict=True)], ...],
    Field(min_length=len(CODES), max_length=len(CODES)),
]
_CONFUSION: Final[TypeAdapter[tuple[tuple[int, ...], ...]]] = TypeAdapter(
    Annotated[tuple[_Row, ...], Field(min_length=len(CODES), max_length=len(CODES))]
)


@dataclass(frozen=True, slots=True)
class ExpectedDiagnoses:
    """How often each diagnosis is expected.

    Attributes:
        shares: float64 [7], in the order of the labels; they sum to 1.
        n: validation images that they rest on.
    """

    shares: npt.NDArray[np.float64]
    n: int


def expected_diagnoses(manifest: Manifest, rule: DecisionRule) -> ExpectedDiagnoses | None:
    """Return how often a version will name each diagnosis, if its input is what it was measured on.

    The manifest has what was said of validation images of each diagnosis, P(said | true). With the
    prevalence in effect, the clinic's if there is one, that gives P(said). The method is that of
    Lipton, Wang and Smola, "Detecting and Correcting for Label Shift with Black Box Predictors"
    (ICML 2018), read backwards.

    Returns:
        None if the manifest does not tell: it has no such figures, they are of diagnoses that were
        decided in another way, or a diagnosis has no validation image.
    """
    try:
        confusion = np.array(_CONFUSION.validate_python(manifest.metrics.get("confusion")), float)
    except ValidationError:
        return None
    decided_by = manifest.metrics.get("decided_by", "probable")
    moved = rule.decided_by == "probable" and rule.clinic is not None
    n = int(confusion.sum())
    if decided_by != rule.decided_by or moved or not n:
        return None
    if rule.prevalence is None:
        return ExpectedDiagnoses(confusion.sum(axis=0) / n, n)
    images = confusion.sum(axis=1, keepdims=True)
    if not images.all():
        return None
    shares = shares_of(rule.prevalence) @ (confusion / images)
    return ExpectedDiagnoses(shares / shares.sum(), n)
