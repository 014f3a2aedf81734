"""What we say of our FHIR: code systems, maps to others, and the CapabilityStatement."""

from typing import Any, Final

from lentigo_contract import __version__
from lentigo_contract.fhir.codes import (
    CANONICAL,
    DIAGNOSES_SYSTEM,
    DIAGNOSIS_NAMES,
    TERMS,
    TERMS_SYSTEM,
    CodeMap,
)
from lentigo_contract.fhir.elements import FHIR_VERSION, MEDIA_TYPE, Resource, profile
from lentigo_contract.fhir.profiles import GUIDE_DATE, structure_definitions
from lentigo_contract.labels import RESEARCH_NOTICE

VALUE_SET: Final = f"{CANONICAL}:ValueSet:diagnosis"

# Which profiles the transaction of an answer has, by the type of the resource.
_PRODUCED: Final = {
    "AuditEvent": ("audit-event",),
    "Device": ("device",),
    "DiagnosticReport": ("report",),
    "DocumentReference": (),
    "Observation": ("lesion-classification", "image-quality"),
    "Provenance": ("provenance",),
    "RiskAssessment": ("malignancy-risk",),
}


def capability_statement() -> Resource:
    """Return what the inference service can do: it makes resources, and stores none."""
    return {
        "resourceType": "CapabilityStatement",
        "id": "lentigo-inference",
        "url": f"{CANONICAL}:CapabilityStatement:inference",
        "version": __version__,
        "name": "LentigoInference",
        "title": "Lentigo's inference service",
        "status": "active",
        "experimental": True,
        "date": GUIDE_DATE,
        "description": RESEARCH_NOTICE,
        "kind": "instance",
        "software": {"name": "Lentigo inference", "version": __version__},
        "implementation": {
            "description": "Names one of seven diagnoses for a dermatoscopic image."
        },
        "fhirVersion": FHIR_VERSION,
        "format": [MEDIA_TYPE],
        "rest": [
            {
                "mode": "server",
                "documentation": (
                    "There is no repository here, so no interaction is supported but this one. "
                    f"POST /v1/predictions with an image and `Accept: {MEDIA_TYPE}` returns a "
                    "transaction Bundle of the resources below, to be sent to a FHIR server."
                ),
                "security": {"description": "An API key, if the operator set a key file."},
                "resource": [
                    {
                        "type": kind,
                        **(
                            {"supportedProfile": [profile(name) for name in names]} if names else {}
                        ),
                    }
                    for kind, names in _PRODUCED.items()
                ],
            }
        ],
    }


def code_systems() -> list[Resource]:
    """Return our two code systems."""
    diagnoses = _code_system(
        DIAGNOSES_SYSTEM,
        "diagnosis",
        "Diagnoses",
        "The seven diagnoses of HAM10000 (doi:10.1038/sdata.2018.161), and `other` for a confirmed "
        "diagnosis that is none of them.",
        DIAGNOSIS_NAMES,
    )
    terms = _code_system(
        TERMS_SYSTEM, "term", "Terms", "What else a result of Lentigo says.", TERMS
    )
    return [diagnoses, terms]


def value_set() -> Resource:
    """Return the value set of the diagnoses."""
    return {
        **_head("ValueSet", VALUE_SET, "diagnosis", "Diagnoses", "All of our diagnoses."),
        "compose": {"include": [{"system": DIAGNOSES_SYSTEM}]},
    }


def concept_map(codes: CodeMap) -> Resource:
    """Return the map of our diagnoses to the codes of other systems, the narrower ones too."""
    systems = list(dict.fromkeys(each.system for each in codes.codes))
    return {
        **_head(
            "ConceptMap",
            f"{CANONICAL}:ConceptMap:diagnosis",
            "diagnosis",
            "Diagnoses in other systems",
            "Narrower codes mean a part of the diagnosis, so they are never in a result.",
        ),
        "sourceUri": VALUE_SET,
        "group": [_group(codes, system) for system in systems],
    }


def guide(codes: CodeMap) -> dict[str, Resource]:
    """Return every conformance resource by the name of its file in `docs/fhir/`."""
    found = [
        capability_statement(),
        *code_systems(),
        value_set(),
        concept_map(codes),
        *structure_definitions(),
    ]
    return {f"{each['resourceType']}-{each['id']}.json": each for each in found}


def _group(codes: CodeMap, system: str) -> dict[str, Any]:
    elements = []
    for diagnosis, name in DIAGNOSIS_NAMES.items():
        targets = [
            {
                "code": each.code,
                "display": each.display,
                "equivalence": each.relation,
                "comment": f"Sources: {'; '.join(each.sources)}",
            }
            for each in codes.codes
            if each.system == system and each.diagnosis == diagnosis
        ]
        if targets:
            elements.append({"code": diagnosis, "display": name, "target": targets})
    return {"source": DIAGNOSES_SYSTEM, "target": system, "element": elements}


def _code_system(
    url: str, name: str, title: str, description: str, codes: dict[str, str]
) -> Resource:
    return {
        **_head("CodeSystem", url, name, title, description),
        "caseSensitive": True,
        "content": "complete",
        "count": len(codes),
        "concept": [{"code": code, "display": display} for code, display in codes.items()],
    }


def _head(kind: str, url: str, name: str, title: str, description: str) -> dict[str, Any]:
    return {
        "resourceType": kind,
        "id": name,
        "url": url,
        "version": __version__,
        "name": f"Lentigo{name.capitalize()}",
        "title": title,
        "status": "draft",
        "experimental": True,
        "date": GUIDE_DATE,
        "description": f"{description} {RESEARCH_NOTICE}",
    }
