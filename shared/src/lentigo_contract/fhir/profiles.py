"""Our profiles: what the resources that we make have at least, as StructureDefinitions of R4."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from lentigo_contract import __version__
from lentigo_contract.fhir.codes import DIAGNOSES_SYSTEM, DIAGNOSIS_NAMES, TERMS_SYSTEM
from lentigo_contract.fhir.elements import FHIR_VERSION, Element, Resource, profile
from lentigo_contract.labels import CODES, RESEARCH_NOTICE

GUIDE_DATE: Final = "2026-11-30"
"""When the guide last changed."""

_BASE: Final = "http://hl7.org/fhir/StructureDefinition/"
_PRELIMINARY: Final = (
    "It is preliminary until a clinician has acted on it; Lentigo never makes another status."
)


@dataclass(frozen=True, slots=True)
class _Profile:
    """A profile.

    Attributes:
        name: last part of its URL.
        type: of the resource.
        title: for people.
        description: what it is for.
        required: elements that are always there, below the resource.
        code: of `codes.TERMS` that the element `code` has; empty for none.
        elements: further constraints.
    """

    name: str
    type: str
    title: str
    description: str
    required: Sequence[str]
    code: str = ""
    elements: Sequence[Element] = ()


def _pattern(path: str, system: str, code: str, name: str = "") -> Element:
    return {
        "id": name or path,
        "path": path,
        "patternCodeableConcept": {"coding": [{"system": system, "code": code}]},
    }


def _seven_components() -> list[Element]:
    """Return the constraint to seven components, one for each diagnosis."""
    path = "Observation.component"
    elements: list[Element] = [
        {
            "id": path,
            "path": path,
            "slicing": {
                "discriminator": [{"type": "pattern", "path": "code"}],
                "rules": "closed",
            },
            "min": len(CODES),
            "max": str(len(CODES)),
        }
    ]
    for code in CODES:
        name = f"{path}:{code}"
        elements += [
            {
                "id": name,
                "path": path,
                "sliceName": code,
                "short": f"Probability of: {DIAGNOSIS_NAMES[code]}",
                "min": 1,
                "max": "1",
            },
            _pattern(f"{path}.code", DIAGNOSES_SYSTEM, code, f"{name}.code"),
            {
                "id": f"{name}.value[x]",
                "path": f"{path}.value[x]",
                "type": [{"code": "Quantity"}],
            },
        ]
    return elements


def _profiles() -> tuple[_Profile, ...]:
    result = ("identifier", "effective[x]", "device", "derivedFrom", "note")
    return (
        _Profile(
            "lesion-classification",
            "Observation",
            "Probabilities of seven diagnoses",
            "The diagnosis that was decided for, and the probabilities of all seven. Without a "
            f"diagnosis each says that it is absent, and why. {_PRELIMINARY}",
            result,
            "lesion-classification",
            _seven_components(),
        ),
        _Profile(
            "image-quality",
            "Observation",
            "Quality of the image",
            f"Whether the image can be judged; a component for each reason why not. {_PRELIMINARY}",
            (*result, "value[x]"),
            "image-quality",
        ),
        _Profile(
            "confirmed-diagnosis",
            "Observation",
            "Confirmed diagnosis",
            "What a lesion turned out to be, as it was reported to Lentigo.",
            ("identifier", "value[x]", "derivedFrom", "method"),
            "confirmed-diagnosis",
        ),
        _Profile(
            "malignancy-risk",
            "RiskAssessment",
            "Probability of malignancy",
            "The probability as a percentage, the threshold from which to refer, and whether to. "
            f"{_PRELIMINARY}",
            ("identifier", "basis", "performer", "prediction", "mitigation", "note"),
            "malignancy",
        ),
        _Profile(
            "report",
            "DiagnosticReport",
            "Report of one image",
            f"Puts the results together, with the notice in its conclusion. {_PRELIMINARY}",
            ("text", "identifier", "effective[x]", "result", "conclusion"),
            "report",
        ),
        _Profile(
            "device",
            "Device",
            "The model",
            "The program, with the version and the digest of its model.",
            ("identifier", "version", "safety"),
        ),
        _Profile(
            "provenance",
            "Provenance",
            "Where the results come from",
            "The device made the results from the image.",
            ("entity", "activity"),
        ),
        _Profile(
            "audit-event",
            "AuditEvent",
            "Who was told what",
            "A request that was answered, feedback, or an act of administration.",
            ("outcome", "entity"),
        ),
    )


def structure_definitions() -> list[Resource]:
    """Return all profiles, and the extension for the threshold."""
    return [*(_definition(each) for each in _profiles()), _threshold()]


def _definition(wanted: _Profile) -> Resource:
    root: Element = {"id": wanted.type, "path": wanted.type, "short": wanted.title}
    required: list[Element] = [
        {"id": f"{wanted.type}.{name}", "path": f"{wanted.type}.{name}", "min": 1}
        for name in wanted.required
    ]
    coded = [_pattern(f"{wanted.type}.code", TERMS_SYSTEM, wanted.code)] if wanted.code else []
    return {
        **_head(wanted.name, wanted.title, wanted.description),
        "kind": "resource",
        "abstract": False,
        "type": wanted.type,
        "baseDefinition": f"{_BASE}{wanted.type}",
        "derivation": "constraint",
        "differential": {"element": [root, *required, *coded, *wanted.elements]},
    }


def _threshold() -> Resource:
    title = "Threshold of referral"
    return {
        **_head(
            "referral-threshold", title, "Probability of malignancy, 0 to 1, from which to refer."
        ),
        "kind": "complex-type",
        "abstract": False,
        "context": [{"type": "element", "expression": "RiskAssessment.prediction"}],
        "type": "Extension",
        "baseDefinition": f"{_BASE}Extension",
        "derivation": "constraint",
        "differential": {
            "element": [
                {"id": "Extension", "path": "Extension", "short": title, "max": "1"},
                {
                    "id": "Extension.url",
                    "path": "Extension.url",
                    "fixedUri": profile("referral-threshold"),
                },
                {
                    "id": "Extension.value[x]",
                    "path": "Extension.value[x]",
                    "min": 1,
                    "type": [{"code": "decimal"}],
                },
            ]
        },
    }


def _head(name: str, title: str, description: str) -> dict[str, Any]:
    return {
        "resourceType": "StructureDefinition",
        "id": name,
        "url": profile(name),
        "version": __version__,
        "name": "".join(part.capitalize() for part in ("lentigo", *name.split("-"))),
        "title": title,
        "status": "draft",
        "experimental": True,
        "date": GUIDE_DATE,
        "description": f"{description} {RESEARCH_NOTICE}",
        "fhirVersion": FHIR_VERSION,
    }
