"""Data types of FHIR R4 as JSON, and how an entry of a transaction says what it is.

A resource is created only where none with its identifier is there (`ifNoneExist`). So a bundle that
is sent twice changes nothing the second time, and never overwrites what a clinician made final.
Provenance and AuditEvent have no identifier in R4, so they have a tag of the same content.
"""

import html
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from lentigo_contract.fhir.codes import CANONICAL, CodeMap
from lentigo_contract.labels import RESEARCH_NOTICE

Resource = dict[str, Any]
Element = dict[str, Any]

ANSWER_SYSTEM: Final = "urn:lentigo:answer"
"""Namespace of what an answer is known by."""

MODEL_SYSTEM: Final = "urn:lentigo:model"
IMAGE_SYSTEM: Final = "urn:lentigo:image-sha256"
DICOM_UID_SYSTEM: Final = "urn:dicom:uid"

MEDIA_TYPE: Final = "application/fhir+json"
FHIR_VERSION: Final = "4.0.1"

_UCUM: Final = "http://unitsofmeasure.org"
_ABSENT: Final = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
_ABSENT_EXTENSION: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

# Of the ids of our entries (RFC 9562, version 5). Made once, at random; it never changes.
_NAMESPACE: Final = uuid.UUID("2f9a4b0e-6d0c-4d8e-9c2f-51c3a7b1e6d4")


def instant(moment: datetime) -> str:
    """Return a moment as FHIR has it: UTC, in milliseconds.

    Args:
        moment: with its time zone.
    """
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def identifier(system: str, value: str) -> Element:
    """Return an Identifier."""
    return {"system": system, "value": value}


def coding(system: str, code: str, display: str) -> Element:
    """Return a Coding."""
    return {"system": system, "code": code, "display": display}


def concept(system: str, code: str, display: str) -> Element:
    """Return a CodeableConcept with one coding."""
    return {"coding": [coding(system, code, display)]}


def diagnosis_concept(codes: CodeMap, diagnosis: str) -> Element:
    """Return the CodeableConcept of a diagnosis; our own code first."""
    codings = codes.codings(diagnosis)
    return {"coding": codings, "text": codings[0]["display"]}


def ratio(value: float) -> Element:
    """Return a number without a unit, such as a probability, as a Quantity."""
    return {"value": value, "unit": "1", "system": _UCUM, "code": "1"}


def absent(code: str, display: str, text: str) -> Element:
    """Return the CodeableConcept that says why a value is absent."""
    return {"coding": [coding(_ABSENT, code, display)], "text": text}


def unknown_reference(display: str) -> Element:
    """Return a Reference for an element that must be there, though nobody said to what."""
    extension = {"url": _ABSENT_EXTENSION, "valueCode": "unknown"}
    return {"extension": [extension], "display": display}


def notice() -> list[Element]:
    """Return the notice as annotations."""
    return [{"text": RESEARCH_NOTICE}]


def narrative(paragraphs: list[str]) -> Element:
    """Return the Narrative of a resource."""
    body = "".join(f"<p>{html.escape(each, quote=False)}</p>" for each in paragraphs)
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{body}</div>'
    return {"status": "generated", "div": div}


def profile(name: str) -> str:
    """Return the canonical URL of one of our profiles."""
    return f"{CANONICAL}:StructureDefinition:{name}"


def meta(name: str, tag: Element | None = None) -> Element:
    """Return the Meta of a resource of one of our profiles."""
    tags = {} if tag is None else {"tag": [tag]}
    return {"profile": [profile(name)], **tags}


def url_of(kind: str, system: str, value: str) -> str:
    """Return the `fullUrl` of a resource: the same for the same resource."""
    return uuid.uuid5(_NAMESPACE, f"{kind}|{system}|{value}").urn


def reference(kind: str, system: str, value: str) -> Element:
    """Return the Reference to a resource of the same bundle."""
    return {"reference": url_of(kind, system, value), "type": kind}


def entry(resource: Resource) -> Element:
    """Return the entry that creates a resource unless it is there.

    Args:
        resource: its first identifier, or the first tag of its `meta`, says which it is.
    """
    kind = str(resource["resourceType"])
    if "identifier" in resource:
        known: Mapping[str, str] = resource["identifier"][0]
        name, system, value = "identifier", known["system"], known["value"]
    else:
        tag: Mapping[str, str] = resource["meta"]["tag"][0]
        name, system, value = "_tag", tag["system"], tag["code"]
    return {
        "fullUrl": url_of(kind, system, value),
        "resource": resource,
        "request": {"method": "POST", "url": kind, "ifNoneExist": f"{name}={system}|{value}"},
    }


def transaction(resources: list[Resource], made_at: datetime) -> Resource:
    """Return the transaction Bundle that creates resources, all of them or none."""
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "timestamp": instant(made_at),
        "entry": [entry(each) for each in resources],
    }
