"""Resources of FHIR that confirm a diagnosis: what they say, and what it is about."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lentigo_contract.fhir.elements import ANSWER_SYSTEM, DICOM_UID_SYSTEM, Element, Resource
from lentigo_gateway.confirmed.codes import Code

FINAL: Final = ("final", "amended", "corrected", "appended")
"""Statuses of a report or an observation that somebody stands by."""

_OID: Final = "urn:oid:"
_REPORT: Final = "report"
# Named by what is about the image, and by what refers to its study.
_ABOUT: Final = {"Observation": ("derivedFrom", "focus"), "DiagnosticReport": ("result",)}
_STUDY: Final = "imagingStudy"
_MOST_REFERENCES: Final = 8
_KINDS: Final = ("Observation", "DiagnosticReport", "DocumentReference", "ImagingStudy", "Media")


@dataclass(frozen=True, slots=True)
class Subject:
    """What was answered: an instance, and one of its frames.

    Attributes:
        sop_instance_uid: of the image.
        frame: from 1; 0 for one that has one only; None if the resource does not say.
    """

    sop_instance_uid: str
    frame: int | None


@dataclass(frozen=True, slots=True)
class Statement:
    """What a resource says.

    Attributes:
        codes: of the diagnosis.
        ways: texts and codes of the method by which it was found.
        subjects: what it is about, as far as it says so itself.
        references: of resources, as type and id, that say more of it.
        studies: likewise, of imaging studies.
    """

    codes: tuple[Code, ...]
    ways: tuple[str, ...]
    subjects: tuple[Subject, ...]
    references: tuple[str, ...]
    studies: tuple[str, ...]


def is_made_by_us(resource: Resource) -> bool:
    """Return whether a resource is one of ours that a clinician would not make final."""
    names = [name for _subject, name in _known_by(resource)]
    return bool(names) and _REPORT not in names


def statement_of(resource: Resource) -> Statement:
    """Return what an Observation or a DiagnosticReport says."""
    kind = str(resource.get("resourceType"))
    if kind == "Observation":
        concepts = [resource.get("valueCodeableConcept")]
    else:
        concepts = list(_members(resource, "conclusionCode"))
    ways = resource.get("method")
    own = tuple(subject for subject, _name in _known_by(resource))
    references = [each for name in _ABOUT.get(kind, ()) for each in _members(resource, name)]
    logical = [
        each["identifier"] for each in references if isinstance(each.get("identifier"), dict)
    ]
    return Statement(
        codes=tuple(_codes(concepts)),
        ways=tuple(_texts(ways)) if isinstance(ways, dict) else (),
        subjects=own + tuple(subject for subject, _name in _subjects(logical)),
        references=() if own else _literal(references),
        studies=() if own else _literal(list(_members(resource, _STUDY))),
    )


def subjects_of(resource: Resource) -> list[Subject]:
    """Return what a resource is about that another one refers to."""
    found = [subject for subject, _name in _known_by(resource)]
    if resource.get("resourceType") == "ImagingStudy":
        found += [
            Subject(str(instance.get("uid")), None)
            for series in _members(resource, "series")
            for instance in _members(series, "instance")
        ]
    if resource.get("resourceType") == "DocumentReference":
        found += [
            Subject(str(each.get("value")).removeprefix(_OID), None)
            for each in _members(resource, "identifier")
            if each.get("system") == DICOM_UID_SYSTEM
        ]
    return found


def _known_by(resource: Resource) -> list[tuple[Subject, str]]:
    return list(_subjects(list(_members(resource, "identifier"))))


def _subjects(identifiers: Sequence[Element]) -> Iterator[tuple[Subject, str]]:
    """Yield what identifiers of ours are about, and the name of the resource.

    They are `<instance>/<digest>/<name>` or `<instance>/<frame>/<digest>/<name>`; others are not of
    an instance.
    """
    for each in identifiers:
        if each.get("system") != ANSWER_SYSTEM:
            continue
        parts = str(each.get("value")).split("/")
        if len(parts) == 3:
            yield Subject(parts[0], 0), parts[2]
        elif len(parts) == 4 and parts[1].isdecimal():
            yield Subject(parts[0], int(parts[1])), parts[3]
        elif len(parts) == 2:
            yield Subject("", None), parts[1]


def _literal(references: Sequence[Element]) -> tuple[str, ...]:
    """Return references as type and id, without those to other servers' addresses."""
    found = []
    for each in references[:_MOST_REFERENCES]:
        parts = str(each.get("reference", "")).split("/_history/")[0].split("/")
        if len(parts) >= 2 and parts[-2] in _KINDS and _is_id(parts[-1]):
            found.append(f"{parts[-2]}/{parts[-1]}")
    return tuple(dict.fromkeys(found))


def _is_id(text: str) -> bool:
    """Return whether a text is an id (R4, data type `id`)."""
    return (
        0 < len(text) <= 64 and text.isascii() and text.replace("-", "").replace(".", "").isalnum()
    )


def _codes(concepts: Sequence[Any]) -> Iterator[Code]:
    for concept in concepts:
        if isinstance(concept, dict):
            for each in _members(concept, "coding"):
                yield Code(str(each.get("system", "")), str(each.get("code", "")))


def _texts(concept: Element) -> Iterator[str]:
    yield str(concept.get("text", ""))
    for each in _members(concept, "coding"):
        yield str(each.get("code", ""))


def _members(resource: Element, name: str) -> Iterator[Element]:
    """Yield the objects in a list of a resource; whatever else stands there is left out."""
    found = resource.get(name)
    if isinstance(found, list):
        yield from (each for each in found if isinstance(each, dict))
