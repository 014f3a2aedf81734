"""Codes of a confirmed diagnosis -> one of the seven, or none of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from lentigo_contract.fhir.codes import (
    DIAGNOSES_SYSTEM,
    DIAGNOSIS_NAMES,
    ICD_10,
    SNOMED_CT,
    CodeMap,
)
from lentigo_gateway.config import Confirmation as ConfirmedBy
from lentigo_gateway.dicom_results.concepts import SCHEME
from lentigo_gateway.errors import ConfirmationError, NothingConfirmedError

# Designators of DICOM (PS3.16, 8) for the systems of FHIR.
SCHEMES: Final[Mapping[str, str]] = {
    SCHEME: DIAGNOSES_SYSTEM,
    "SCT": SNOMED_CT,
    "I10": ICD_10,
}
SEVERAL: Final = "It is about several images or frames that were answered, and does not say which."

WAYS: Final[tuple[ConfirmedBy, ...]] = ("histopathology", "follow-up", "consensus", "confocal")


@dataclass(frozen=True, slots=True)
class Code:
    """A code of a system, by the URI that FHIR knows the system by."""

    system: str
    code: str


def diagnosis_of(codes: Iterable[Code], known: CodeMap) -> str:
    """Return the diagnosis that codes name: one of HAM10000's, or `other`.

    Our own code says it. Another one does if the map has it as the same as a diagnosis or as a part
    of it; a wider one could mean several.

    Raises:
        NothingConfirmedError: there is no code.
        ConfirmationError: no code is known, or they name more than one diagnosis.
    """
    given = set(codes)
    if not given:
        raise NothingConfirmedError("It names no diagnosis by a code.")
    named = {each.code for each in given if _is_own(each)}
    named |= {
        each.diagnosis
        for each in known.codes
        if each.relation != "wider" and Code(each.system, each.code) in given
    }
    if not named:
        raise ConfirmationError("None of its codes is in the map of codes as one diagnosis.")
    if len(named) > 1:
        raise ConfirmationError("Its codes name more than one diagnosis.")
    return named.pop()


def confirmed_by(texts: Iterable[str], otherwise: ConfirmedBy | None) -> ConfirmedBy:
    """Return how a diagnosis was confirmed, from the service's own words.

    Args:
        texts: texts and codes of the method.
        otherwise: for a document that does not say.

    Raises:
        ConfirmationError: it does not say, and nothing stands for that.
    """
    said = {text.strip().lower() for text in texts}
    found: ConfirmedBy | None = next((way for way in WAYS if way in said), otherwise)
    if found is None:
        raise ConfirmationError(
            "It does not say how the diagnosis was confirmed, and [confirmations] has no "
            "confirmed_by."
        )
    return found


def _is_own(code: Code) -> bool:
    return code.system == DIAGNOSES_SYSTEM and code.code in DIAGNOSIS_NAMES
