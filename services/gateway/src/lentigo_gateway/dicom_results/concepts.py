"""The codes of a report: those of DICOM where it has one, and our own otherwise."""

from typing import Final

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept

from lentigo_contract.fhir.codes import DIAGNOSIS_NAMES, TERMS

SCHEME: Final = "99LENTIGO"
"""Designator of our coding scheme; private ones begin with 99 (DICOM PS3.16, 8)."""

# Longer meanings are none (DICOM PS3.5, 6.2: LO).
_LONGEST: Final = 64


def dicom_concept(value: str, meaning: str) -> CodedConcept:
    """Return a concept of DICOM's own terminology (PS3.16, D)."""
    return CodedConcept(value, "DCM", meaning)


def term(code: str) -> CodedConcept:
    """Return one of `TERMS`; a code that is not among them is its own meaning."""
    return CodedConcept(code, SCHEME, TERMS.get(code, code)[:_LONGEST])


def diagnosis(code: str) -> CodedConcept:
    """Return a diagnosis."""
    return CodedConcept(code, SCHEME, DIAGNOSIS_NAMES[code])


def probability_of(code: str) -> CodedConcept:
    """Return the concept of the probability of a diagnosis."""
    return CodedConcept(f"probability-{code}", SCHEME, f"Probability: {DIAGNOSIS_NAMES[code]}")


def own(code: str, meaning: str) -> CodedConcept:
    """Return another concept of our scheme."""
    return CodedConcept(code, SCHEME, meaning)


def coding_scheme() -> CodingSchemeIdentificationItem:
    """Return what our scheme is, for those who meet its designator."""
    return CodingSchemeIdentificationItem(
        designator=SCHEME,
        name="Lentigo: diagnoses of HAM10000, and what else is said of an image",
        version="1",
        responsible_organization="Lentigo",
    )


NO_UNITS: Final = ("1", "UCUM", "no units")
"""A number without a unit, such as a probability (DICOM PS3.16, CID 82)."""
