"""Structured reports that confirm a diagnosis: verified, and about an image that was answered."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydicom import Dataset

from lentigo_gateway.confirmed.codes import SCHEMES, Code
from lentigo_gateway.dicom_results.concepts import SCHEME
from lentigo_gateway.dicom_results.header import text_of
from lentigo_gateway.errors import NothingConfirmedError
from lentigo_gateway.rules import VERIFIED

# Names of content items whose code is the diagnosis (PS3.16, D; and our own).
_NAMES: Final = frozenset(
    {
        (SCHEME, "confirmed-diagnosis"),
        ("DCM", "121073"),  # impression
        ("DCM", "121077"),  # conclusion
    }
)
# What the model said, in a report of ours that a person took over and verified.
_SAID: Final = (SCHEME, "diagnosis")
_WAY: Final = (SCHEME, "confirmed-by")
_DEEPEST: Final = 32
_MOST_ITEMS: Final = 10_000


@dataclass(frozen=True, slots=True)
class ReportStatement:
    """What a structured report says.

    Attributes:
        codes: of the diagnosis.
        ways: texts and codes of how it was confirmed.
        instances: UIDs that it refers to, of images or of reports before it.
    """

    codes: tuple[Code, ...]
    ways: tuple[str, ...]
    instances: tuple[str, ...]


def report_statement(report: Dataset) -> ReportStatement:
    """Return what a structured report says.

    Raises:
        NothingConfirmedError: nobody has verified it, or it is not complete (PS3.3, C.17.2).
    """
    if text_of(report, "VerificationFlag") != VERIFIED:
        raise NothingConfirmedError("Nobody has verified the structured report.")
    if text_of(report, "CompletionFlag") != "COMPLETE":
        raise NothingConfirmedError("The structured report is not complete.")
    items = list(_items(report, 0))[:_MOST_ITEMS]
    concluded: list[Code] = []
    said: list[Code] = []
    ways: list[str] = []
    for item in items:
        name = _coded(item, "ConceptNameCodeSequence")
        value = _coded(item, "ConceptCodeSequence")
        if name == _WAY:
            ways += [text_of(item, "TextValue"), value[1] if value else ""]
        elif value is not None and (name in _NAMES or name == _SAID):
            code = Code(SCHEMES.get(value[0], value[0]), value[1])
            (concluded if name in _NAMES else said).append(code)
    return ReportStatement(
        tuple(concluded or said), tuple(ways), tuple(dict.fromkeys(_referenced(report)))
    )


def _items(of: Dataset, depth: int) -> Iterator[Dataset]:
    if depth < _DEEPEST:
        for item in of.get("ContentSequence") or ():
            yield item
            yield from _items(item, depth + 1)


def _coded(item: Dataset, keyword: str) -> tuple[str, str] | None:
    found = item.get(keyword)
    if not found:
        return None
    return text_of(found[0], "CodingSchemeDesignator"), text_of(found[0], "CodeValue")


def _referenced(report: Dataset) -> Iterator[str]:
    for keyword in (
        "CurrentRequestedProcedureEvidenceSequence",
        "PertinentOtherEvidenceSequence",
        "PredecessorDocumentsSequence",
    ):
        for study in report.get(keyword) or ():
            for series in study.get("ReferencedSeriesSequence") or ():
                for each in series.get("ReferencedSOPSequence") or ():
                    yield text_of(each, "ReferencedSOPInstanceUID")
