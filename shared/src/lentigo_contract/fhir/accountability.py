"""Who was told what, and where it comes from: AuditEvent and Provenance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from lentigo_contract.fhir.elements import (
    ANSWER_SYSTEM,
    Element,
    Resource,
    coding,
    concept,
    meta,
)
from lentigo_contract.fhir.subjects import About

_DICOM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_TYPES: Final = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_INTERACTIONS: Final = "http://hl7.org/fhir/restful-interaction"
_SOURCES: Final = "http://terminology.hl7.org/CodeSystem/security-source-type"
_ENTITIES: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLES: Final = "http://terminology.hl7.org/CodeSystem/object-role"
_PARTICIPANTS: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_OPERATIONS: Final = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"

_ANSWERED: Final = {
    "type": coding(_TYPES, "rest", "RESTful Operation"),
    "subtype": [coding(_INTERACTIONS, "operation", "operation")],
    "action": "E",
}
_ADMINISTERED: Final = {
    "type": coding(_DICOM, "110100", "Application Activity"),
    "action": "E",
}
_SERVICE: Final = {"display": "Lentigo"}

SUCCESS: Final = "0"
MINOR_FAILURE: Final = "4"

# R4, network type: 2 is an IP address.
_IP_ADDRESS: Final = "2"


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asked.

    Attributes:
        request_id: of the request, as in the log.
        key: name of the API key, if there are keys.
        address: of the client; None if unknown.
    """

    request_id: str | None = None
    key: str | None = None
    address: str | None = None


def provenance(about: About, targets: Sequence[Element]) -> Resource:
    """Return the Provenance: the device made the results of an answer from the image."""
    return {
        "resourceType": "Provenance",
        "meta": meta("provenance", _tag(f"{about.key}/provenance")),
        "target": list(targets),
        "occurredDateTime": about.moment,
        "recorded": about.moment,
        "activity": concept(_OPERATIONS, "CREATE", "create"),
        "agent": [{"type": concept(_PARTICIPANTS, "author", "Author"), "who": about.device}],
        "entity": [{"role": "source", "what": about.image}],
    }


def answer_event(about: About, requester: Requester | None, report: Element) -> Resource:
    """Return the AuditEvent of an answer: who asked, about which image, and what came of it."""
    request = requester.request_id if requester else None
    details = {"detail": [_detail("request", request)]} if request else {}
    return audit_event(
        f"{about.key}/audit",
        about.moment,
        agents=[_agent(requester, about.device), *_answering(requester, about.device)],
        observer=about.device,
        entities=[
            {"what": about.image, "type": coding(_ENTITIES, "2", "System Object"), **details},
            {
                "what": report,
                "type": coding(_ENTITIES, "2", "System Object"),
                "role": coding(_ROLES, "3", "Report"),
            },
        ],
        kind=_ANSWERED,
    )


def administration_event(
    key: str,
    moment: str,
    requester: Requester | None,
    details: dict[str, Any],
    reason: str = "",
) -> Resource:
    """Return the AuditEvent of an act of administration.

    Args:
        key: what it is known by.
        moment: when it was, as FHIR has it.
        requester: who asked; None if the service acted by itself.
        details: what was done, such as `act` and `version`.
        reason: why it failed; empty if it did not.
    """
    known = {name: value for name, value in details.items() if value is not None}
    return audit_event(
        key,
        moment,
        agents=[_agent(requester, _SERVICE)],
        observer=_SERVICE,
        entities=[
            {
                "type": coding(_ENTITIES, "2", "System Object"),
                "name": "Lentigo's model",
                "detail": [_detail(name, value) for name, value in known.items()],
            }
        ],
        kind=_ADMINISTERED,
        failure=reason,
    )


def use_event(key: str, moment: str, requester: Requester, entities: Sequence[Element]) -> Resource:
    """Return the AuditEvent of another request, such as feedback; arguments as above."""
    return audit_event(
        key,
        moment,
        agents=[_agent(requester, _SERVICE)],
        observer=_SERVICE,
        entities=entities,
        kind=_ANSWERED,
    )


def entity(what: Element, details: dict[str, Any]) -> Element:
    """Return what an AuditEvent is about."""
    told = [_detail(name, value) for name, value in details.items()]
    return {
        "what": what,
        "type": coding(_ENTITIES, "2", "System Object"),
        **({"detail": told} if told else {}),
    }


def audit_event(
    key: str,
    moment: str,
    *,
    agents: Sequence[Element],
    observer: Element,
    entities: Sequence[Element],
    kind: Element,
    failure: str = "",
) -> Resource:
    """Return an AuditEvent; `key` is what it is known by."""
    described = {"outcomeDesc": failure} if failure else {}
    return {
        "resourceType": "AuditEvent",
        "meta": meta("audit-event", _tag(key)),
        **kind,
        "recorded": moment,
        "outcome": MINOR_FAILURE if failure else SUCCESS,
        **described,
        "agent": list(agents),
        "source": {
            "observer": observer,
            "type": [coding(_SOURCES, "4", "Application Server")],
        },
        "entity": list(entities),
    }


def _agent(requester: Requester | None, otherwise: Element) -> Element:
    """Return the agent that asked; where nobody did, the one that acted by itself."""
    if requester is None:
        return {"who": otherwise, "requestor": True}
    network = (
        {"network": {"address": requester.address, "type": _IP_ADDRESS}}
        if requester.address
        else {}
    )
    named = {"altId": requester.key} if requester.key else {}
    who = f"API key {requester.key}" if requester.key else "No API key"
    return {"who": {"display": who}, **named, "requestor": True, **network}


def _answering(requester: Requester | None, device: Element) -> list[Element]:
    if requester is None:
        return []
    return [{"type": concept(_DICOM, "110150", "Application"), "who": device, "requestor": False}]


def _detail(name: str, value: object) -> Element:
    return {"type": name, "valueString": str(value)}


def _tag(key: str) -> Element:
    return {"system": ANSWER_SYSTEM, "code": key}
