"""A trail as FHIR R4: one transaction Bundle for each record that somebody is answerable for.

An answer is exported as it left the service with `Accept: application/fhir+json`, known by the same
identifiers. So whoever sent that Bundle to a FHIR server can send this one too, and nothing is
there twice. Checkpoints and retention are not exported: they prove the trail, and only in it.
"""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TextIO

from lentigo_contract.errors import PredictionDocumentError
from lentigo_contract.fhir.accountability import (
    Requester,
    administration_event,
    entity,
    use_event,
)
from lentigo_contract.fhir.bundle import prediction_bundle
from lentigo_contract.fhir.codes import CodeMap, term
from lentigo_contract.fhir.elements import (
    ANSWER_SYSTEM,
    Resource,
    diagnosis_concept,
    identifier,
    instant,
    meta,
    notice,
    reference,
    transaction,
)
from lentigo_contract.labels import CODES
from lentigo_contract.prediction import read_prediction
from lentigo_inference.audit.export import Record, records_in
from lentigo_inference.audit.records import ADMINISTRATION, ANSWER, FEEDBACK, INFERENCE
from lentigo_inference.errors import AuditFileError

PIXELS_SYSTEM: Final = "urn:lentigo:pixels-sha256"


def export_fhir(folder: Path, out: TextIO, codes: CodeMap) -> int:
    """Write a Bundle on a line for each record (newline-delimited JSON); return how many there are.

    Args:
        folder: of the trail.
        out: where the lines go.
        codes: of other systems, beside our own.

    Raises:
        AuditFileError: the folder or a file cannot be read, or a record is not as the service
            writes it.
    """
    bundles = 0
    for record in records_in(folder):
        bundle = record_bundle(record, codes)
        if bundle is not None:
            out.write(f"{json.dumps(bundle, separators=(',', ':'), allow_nan=False)}\n")
            bundles += 1
    return bundles


def record_bundle(record: Record, codes: CodeMap) -> Resource | None:
    """Return the Bundle of a record; None for one that proves the trail alone.

    Raises:
        AuditFileError: it is not as the service writes it.
    """
    make = _MAKERS.get(record["kind"])
    if make is None:
        return None
    try:
        return make(record, codes)
    except (PredictionDocumentError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise AuditFileError(
            f"Record {record['seq']} is not as the service writes it. `audit verify` says what "
            "was done to the trail."
        ) from error


def _answer(record: Record, codes: CodeMap) -> Resource:
    return prediction_bundle(
        read_prediction(_document(record)),
        answered=_moment(record),
        codes=codes,
        requester=_requester(record),
    )


def _document(record: Record) -> dict[str, Any]:
    """Return the record of an answer in the members of `POST /v1/predictions`."""
    probabilities: dict[str, float] = record["probabilities"]
    code = record["diagnosis"]
    diagnosis = None
    if code is not None:
        diagnosis = {
            "code": code,
            "probability": probabilities[code],
            "decided_by": record["settings"]["decided_by"],
        }
    return {
        "id": record["id"],
        "model": {
            "name": record["model"],
            "version": str(record["version"]),
            "engine": record["engine"],
            "digest": record["manifest_sha256"],
        },
        "image": {"sha256": record["image_sha256"]},
        "quality": {"accepted": not record["quality"], "reasons": record["quality"]},
        "diagnosis": diagnosis,
        "probabilities": [
            {"code": each, "probability": value} for each, value in probabilities.items()
        ],
        "malignancy": {
            "probability": record["malignancy"],
            "threshold": record["threshold"],
            "refer": record["refer"],
            "reasons": record["reasons"],
        },
    }


def _feedback(record: Record, codes: CodeMap) -> Resource:
    """Return what the lesion turned out to be; final, because somebody confirmed it."""
    moment = _moment(record)
    known_by = identifier(ANSWER_SYSTEM, f"{record['id']}/confirmed-diagnosis")
    said = identifier(ANSWER_SYSTEM, f"{record['answer']}/lesion-classification")
    confirmed: Resource = {
        "resourceType": "Observation",
        "meta": meta("confirmed-diagnosis"),
        "identifier": [known_by],
        "status": "final",
        "code": term("confirmed-diagnosis"),
        "effectiveDateTime": instant(moment),
        "issued": instant(moment),
        "valueCodeableConcept": diagnosis_concept(codes, record["diagnosis"]),
        "method": {"text": record["confirmed_by"]},
        "derivedFrom": [{"type": "Observation", "identifier": said}],
        "note": notice(),
    }
    event = use_event(
        f"{record['id']}/audit",
        instant(moment),
        _requester(record),
        [
            entity(
                reference("Observation", known_by["system"], known_by["value"]),
                {"request": record["request_id"], "act": "feedback"},
            )
        ],
    )
    return transaction([confirmed, event], moment)


def _inference(record: Record, _codes: CodeMap) -> Resource:
    """Return that pixels were answered by the Open Inference Protocol, and with what."""
    entities = []
    for image in record["images"]:
        said = dict(zip(CODES, image["probabilities"], strict=True))
        details = {f"probability of {code}": value for code, value in said.items()}
        what = {"identifier": identifier(PIXELS_SYSTEM, image["pixels_sha256"])}
        details["model"] = f"{record['model']} {record['version']}"
        entities.append(entity(what, {"request": record["request_id"], **details}))
    event = use_event(_key(record), instant(_moment(record)), _requester(record), entities)
    return transaction([event], _moment(record))


def _administration(record: Record, _codes: CodeMap) -> Resource:
    event = administration_event(
        _key(record),
        instant(_moment(record)),
        _requester(record) if "request_id" in record else None,
        {"act": record["act"], "version": record["version"]},
        record.get("reason") or ("refused" if record["act"] == "refused" else ""),
    )
    return transaction([event], _moment(record))


_MAKERS: Final[dict[str, Callable[[Record, CodeMap], Resource]]] = {
    ANSWER: _answer,
    FEEDBACK: _feedback,
    INFERENCE: _inference,
    ADMINISTRATION: _administration,
}


def _requester(record: Record) -> Requester:
    return Requester(record["request_id"], record["key"], record["client"])


def _moment(record: Record) -> datetime:
    """Return when a record was written; raises ValueError if that has no time zone."""
    moment = datetime.fromisoformat(record["time"])
    if moment.tzinfo is None:
        raise ValueError("the time has no zone")
    return moment


def _key(record: Record) -> str:
    """Return what a record without an id is known by: no two have the same one before them."""
    return f"record/{record['prev']}"
