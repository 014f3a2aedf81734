"""Our preliminary report, made final or amended by a confirmed diagnosis."""

from datetime import datetime
from typing import Any, Final

from lentigo_contract.fhir.codes import DIAGNOSES_SYSTEM, DIAGNOSIS_NAMES, CodeMap, term
from lentigo_contract.fhir.elements import (
    ANSWER_SYSTEM,
    Element,
    Resource,
    diagnosis_concept,
    entry,
    identifier,
    instant,
    meta,
    narrative,
    notice,
    reference,
)
from lentigo_gateway.confirmed.resources import FINAL
from lentigo_gateway.worklist.confirmations import Confirmed

CONFIRMED_SYSTEM: Final = "urn:lentigo:confirmed"
"""System of the tag by which we know a report that we made final, and by which diagnosis."""

_SAID_BEFORE: Final = "The model had said: "


def confirms(report: Resource, diagnosis: str) -> bool:
    """Return whether a report is final and says this diagnosis already."""
    concluded = {
        coding.get("code")
        for concept in report.get("conclusionCode") or ()
        for coding in concept.get("coding") or ()
        if coding.get("system") == DIAGNOSES_SYSTEM
    }
    return report.get("status") in FINAL and concluded == {diagnosis}


def is_made_final_by_us(report: Resource) -> bool:
    """Return whether a report says what we made it say; nobody has changed its diagnosis since."""
    tags = (report.get("meta") or {}).get("tag") or ()
    return any(
        tag.get("system") == CONFIRMED_SYSTEM and confirms(report, str(tag.get("code")))
        for tag in tags
    )


def final_bundle(
    report: Resource,
    key: str,
    confirmed: Confirmed,
    *,
    document: str,
    observation: str | None,
    codes: CodeMap,
    now: datetime,
) -> Resource:
    """Return the transaction that makes a report final, or amends one that was.

    The report keeps what the model had said, in words and in its results; its conclusion is what
    was confirmed. If the report was changed meanwhile, the server refuses it by its version.

    Args:
        report: as the server has it.
        key: what the answer is known by.
        confirmed: the diagnosis.
        document: which document confirmed it.
        observation: reference to the Observation that says so; None makes one.
        codes: of other systems, beside our own.
        now: when this is, with its time zone.
    """
    entries: list[Element] = []
    if observation is None:
        made = _observation(report, key, confirmed, document, codes, now)
        entries.append(entry(made))
        known = made["identifier"][0]
        result = reference("Observation", known["system"], known["value"])
    else:
        result = {"reference": observation, "type": "Observation"}
    version = str(report.get("meta", {}).get("versionId", ""))
    changed = _final(report, confirmed, result, codes, now)
    name = f"DiagnosticReport/{report['id']}"
    request = {"method": "PUT", "url": name, **({"ifMatch": f'W/"{version}"'} if version else {})}
    entries.append({"fullUrl": name, "resource": changed, "request": request})
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "timestamp": instant(now),
        "entry": entries,
    }


def _final(
    report: Resource, confirmed: Confirmed, result: Element, codes: CodeMap, now: datetime
) -> Resource:
    said = str(report.get("conclusion", "")).rpartition(_SAID_BEFORE)[2]
    lines = [_sentence(confirmed), f"{_SAID_BEFORE}{said}"]
    # Version and time are the server's.
    known = report.get("meta", {})
    kept = {name: each for name, each in known.items() if name not in ("versionId", "lastUpdated")}
    tags = [each for each in known.get("tag", []) if each.get("system") != CONFIRMED_SYSTEM]
    kept["tag"] = [*tags, {"system": CONFIRMED_SYSTEM, "code": confirmed.diagnosis}]
    others = [each for each in report.get("result", []) if each != result]
    return {
        **report,
        "meta": kept,
        "text": narrative(lines),
        "status": "amended" if report.get("status") in FINAL else "final",
        "issued": instant(now),
        "result": [*others, result],
        "conclusion": " ".join(lines),
        "conclusionCode": [diagnosis_concept(codes, confirmed.diagnosis)],
    }


def _observation(
    report: Resource,
    key: str,
    confirmed: Confirmed,
    document: str,
    codes: CodeMap,
    now: datetime,
) -> Resource:
    """Return the confirmed diagnosis, which nobody has made an Observation of."""
    subject: dict[str, Any] = {"subject": report["subject"]} if "subject" in report else {}
    said = identifier(ANSWER_SYSTEM, f"{key}/lesion-classification")
    name = f"confirmed-diagnosis-{document.replace('/', '-')}"
    return {
        "resourceType": "Observation",
        "meta": meta("confirmed-diagnosis"),
        "identifier": [identifier(ANSWER_SYSTEM, f"{key}/{name}")],
        "status": "final",
        "code": term("confirmed-diagnosis"),
        **subject,
        "effectiveDateTime": instant(now),
        "issued": instant(now),
        "valueCodeableConcept": diagnosis_concept(codes, confirmed.diagnosis),
        "method": {"text": confirmed.confirmed_by},
        "derivedFrom": [{"type": "Observation", "identifier": said}],
        "note": notice(),
    }


def _sentence(confirmed: Confirmed) -> str:
    return f"Confirmed by {confirmed.confirmed_by}: {DIAGNOSIS_NAMES[confirmed.diagnosis]}."
