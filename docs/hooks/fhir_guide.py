"""Write the resources of the FHIR guide: `python -m docs.hooks.fhir_guide`.

Profiles, code systems and examples all come from the functions that make real results. A test
compares `docs/fhir/` with them. The answers in the examples are made up.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from lentigo_contract.fhir.accountability import Requester
from lentigo_contract.fhir.bundle import prediction_bundle
from lentigo_contract.fhir.codes import shipped_code_map
from lentigo_contract.fhir.conformance import guide
from lentigo_contract.fhir.elements import Resource
from lentigo_contract.fhir.subjects import DicomImage, patient
from lentigo_contract.labels import CODES
from lentigo_contract.prediction import read_prediction
from lentigo_inference.audit.fhir_export import record_bundle

FOLDER: Final = Path(__file__).parents[1] / "fhir"

_AT: Final = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)
_REQUESTER: Final = Requester("019b1f6e-0001-7c3e-8d5c-0f8f3a2b7d10", "ward-7", "192.0.2.7")
_SHARES: Final = dict(zip(CODES, (0.02, 0.05, 0.08, 0.01, 0.62, 0.21, 0.01), strict=True))
_DICOM: Final = DicomImage(
    study_uid="2.25.268436187463518265421374563827164",
    series_uid="2.25.268436187463518265421374563827165",
    instance_uid="2.25.268436187463518265421374563827166",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.77.1.7",
    modality="DMS",
)


def resources() -> dict[str, Resource]:
    """Return every resource of the guide by the name of its file."""
    return {**guide(shipped_code_map()), **_examples()}


def text_of(resource: Resource) -> str:
    """Return a resource as its file has it."""
    return f"{json.dumps(resource, indent=2, ensure_ascii=False)}\n"


def _examples() -> dict[str, Resource]:
    codes = shipped_code_map()
    said, refused = read_prediction(_answer()), read_prediction(_refusal())
    feedback = record_bundle(_feedback(), codes)
    assert feedback is not None  # noqa: S101 - feedback always is one
    return {
        "Bundle-answer.json": prediction_bundle(
            said, answered=_AT, codes=codes, requester=_REQUESTER
        ),
        "Bundle-no-diagnosis.json": prediction_bundle(
            refused, answered=_AT, codes=codes, requester=_REQUESTER
        ),
        "Bundle-archive.json": prediction_bundle(
            said,
            answered=_AT,
            codes=codes,
            subject=patient("https://hospital.example/patients", "4711"),
            dicom=_DICOM,
        ),
        "Bundle-feedback.json": feedback,
    }


def _answer() -> dict[str, Any]:
    return {
        "id": "019b1f6e-4a57-7c3e-8d5c-0f8f3a2b7d10",
        "model": {
            "name": "lentigo",
            "version": "4",
            "architecture": "efficientnet_lite2",
            "engine": "litert-int8",
            "digest": "4e" * 32,
        },
        "image": {"sha256": "9f" * 32, "format": "JPEG", "width": 600, "height": 450},
        "quality": {
            "accepted": True,
            "reasons": [],
            "unlikeness": 3.1,
            "unlikeness_limit": 7.5,
        },
        "diagnosis": {
            "code": "mel",
            "probability": _SHARES["mel"],
            "decided_by": "balanced",
            "confident": True,
        },
        "probabilities": [{"code": code, "probability": share} for code, share in _SHARES.items()],
        "malignancy": {
            "probability": 0.69,
            "threshold": 0.18,
            "refer": True,
            "reasons": ["malignancy"],
        },
    }


def _refusal() -> dict[str, Any]:
    return {
        **_answer(),
        "id": "019b1f70-09c1-7a20-9d4e-8a2c5b1e7f33",
        "image": {"sha256": "5b" * 32, "format": "JPEG", "width": 600, "height": 450},
        "quality": {
            "accepted": False,
            "reasons": ["blurred"],
            "unlikeness": None,
            "unlikeness_limit": 7.5,
        },
        "diagnosis": None,
        "probabilities": [],
        "malignancy": {
            "probability": None,
            "threshold": 0.18,
            "refer": True,
            "reasons": ["unusable"],
        },
    }


def _feedback() -> dict[str, Any]:
    return {
        "seq": 7,
        "prev": "c3" * 32,
        "time": "2026-12-14T08:30:00.000Z",
        "kind": "feedback",
        "id": "019b6752-77aa-7b31-8f02-3d4c5e6f7a81",
        "answer": "019b1f6e-4a57-7c3e-8d5c-0f8f3a2b7d10",
        "request_id": "019b6752-77a9-7d10-9b1e-52c1f0a7d3e4",
        "key": "pathology",
        "client": "192.0.2.9",
        "image_sha256": "9f" * 32,
        "version": 4,
        "said": "mel",
        "diagnosis": "mel",
        "confirmed_by": "histopathology",
    }


def main() -> None:
    """Write the files, and remove those that there are no more."""
    FOLDER.mkdir(exist_ok=True)
    found = resources()
    for path in FOLDER.glob("*.json"):
        if path.name not in found:
            path.unlink()
    for name, resource in found.items():
        (FOLDER / name).write_text(text_of(resource), encoding="utf-8")


if __name__ == "__main__":
    main()
