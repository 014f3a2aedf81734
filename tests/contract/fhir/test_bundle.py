import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from lentigo_contract.fhir.accountability import Requester
from lentigo_contract.fhir.bundle import prediction_bundle
from lentigo_contract.fhir.codes import DIAGNOSES_SYSTEM, CodeMap, shipped_code_map
from lentigo_contract.fhir.subjects import DicomImage, patient
from lentigo_contract.labels import CODES, RESEARCH_NOTICE
from lentigo_contract.prediction import read_prediction
from tests.contract.fhir.r4 import assert_valid, by_type, observation, references
from tests.predictions import ANSWER_ID, DIGEST, SHARES, answer_document, refusal_document

AT = datetime(2026, 11, 30, 10, 0, 0, 123456, tzinfo=UTC)
DICOM = DicomImage("2.25.1", "2.25.2", "2.25.3", "1.2.840.10008.5.1.4.1.1.77.1.7", "DMS")
SUBJECT = patient("https://hospital.example/patients", "4711")
REQUESTER = Requester("request-1", "ward-7", "192.0.2.7")

Json = dict[str, Any]


def bundle_of(document: Json | None = None, **members: Any) -> Json:
    prediction = read_prediction(document or answer_document())
    arguments: Json = {"answered": AT, "codes": shipped_code_map(), **members}
    return prediction_bundle(prediction, **arguments)


EVERY_KIND: dict[str, Callable[[], Json]] = {
    "answer": bundle_of,
    "refused": lambda: bundle_of(refusal_document()),
    "requested": lambda: bundle_of(requester=REQUESTER),
    "requested without a key": lambda: bundle_of(requester=Requester("r")),
    "archive": lambda: bundle_of(dicom=DICOM, subject=SUBJECT),
    "archive without a patient": lambda: bundle_of(dicom=DICOM),
    "patient without an archive": lambda: bundle_of(subject=SUBJECT),
    "no codes": lambda: bundle_of(codes=CodeMap()),
    "unknown reason": lambda: bundle_of(refusal_document("of-a-later-release")),
}


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_bundle_is_valid_fhir(kind: str) -> None:
    assert_valid(EVERY_KIND[kind]())


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_reference_leads_to_an_entry(kind: str) -> None:
    bundle = EVERY_KIND[kind]()
    urls = [entry["fullUrl"] for entry in bundle["entry"]]
    assert len(set(urls)) == len(urls)
    assert set(references(bundle)) <= set(urls)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_entry_is_created_only_where_it_is_not_there(kind: str) -> None:
    conditions = []
    for entry in EVERY_KIND[kind]()["entry"]:
        request = entry["request"]
        assert (request["method"], request["url"]) == ("POST", entry["resource"]["resourceType"])
        conditions.append((request["url"], request["ifNoneExist"]))
        assert re.fullmatch(r"(identifier|_tag)=[a-z:0-9-]+\|\S+", request["ifNoneExist"])
    assert len(set(conditions)) == len(conditions)


def test_the_same_answer_is_the_same_bundle() -> None:
    assert bundle_of() == bundle_of()


def test_another_answer_to_the_same_instance_is_the_same_result() -> None:
    first = bundle_of(dicom=DICOM, subject=SUBJECT)
    again = bundle_of(answer_document(id="another"), dicom=DICOM, subject=SUBJECT)

    def conditions(bundle: Json) -> list[str]:
        return [entry["request"]["ifNoneExist"] for entry in bundle["entry"]]

    assert conditions(first) == conditions(again)
    other_model = {**answer_document()["model"], "digest": "5f" * 32}
    other = bundle_of(answer_document(model=other_model), dicom=DICOM, subject=SUBJECT)
    assert set(conditions(first)) & set(conditions(other)) == {
        "identifier=urn:dicom:uid|urn:oid:2.25.1"
    }


def test_frames_are_results_of_their_own() -> None:
    def keys(frame: int) -> set[str]:
        image = DicomImage("2.25.1", "2.25.2", "2.25.3", DICOM.sop_class_uid, "DMS", frame)
        bundle = bundle_of(dicom=image, subject=SUBJECT)
        return {each["identifier"][0]["value"] for each in by_type(bundle)["DiagnosticReport"]}

    assert not keys(1) & keys(2)


def test_the_seven_probabilities_are_components_in_label_order() -> None:
    found = observation(bundle_of(), "lesion-classification")
    components = found["component"]
    codes = [each["code"]["coding"][0] for each in components]
    assert [each["code"] for each in codes] == list(CODES)
    assert {each["system"] for each in codes} == {DIAGNOSES_SYSTEM}
    assert [each["valueQuantity"]["value"] for each in components] == list(SHARES.values())
    assert found["valueCodeableConcept"]["coding"][0]["code"] == "mel"
    assert "93655004" in [each["code"] for each in found["valueCodeableConcept"]["coding"]]


def test_without_a_diagnosis_every_value_says_why_it_is_absent() -> None:
    bundle = bundle_of(refusal_document("blurred"))
    found = observation(bundle, "lesion-classification")
    assert "valueCodeableConcept" not in found
    assert found["dataAbsentReason"]["text"] == "the image is blurred"
    assert len(found["component"]) == 7
    assert all("dataAbsentReason" in each for each in found["component"])
    quality = observation(bundle, "image-quality")
    assert quality["valueBoolean"] is False
    assert quality["component"][0]["code"]["coding"][0]["code"] == "blurred"
    (risk,) = by_type(bundle)["RiskAssessment"]
    assert "probabilityDecimal" not in risk["prediction"][0]
    assert risk["mitigation"] == "Refer to a physician"
    (report,) = by_type(bundle)["DiagnosticReport"]
    assert "conclusionCode" not in report
    assert report["conclusion"].startswith("No diagnosis: the image is blurred.")


def test_the_probability_of_malignancy_is_a_percentage_with_its_threshold() -> None:
    (risk,) = by_type(bundle_of())["RiskAssessment"]
    (outcome,) = risk["prediction"]
    assert outcome["probabilityDecimal"] == 69.0
    assert outcome["extension"][0]["valueDecimal"] == 0.18
    assert outcome["qualitativeRisk"]["coding"][0]["code"] == "refer"


def test_nothing_is_final() -> None:
    bundle = bundle_of()
    for kind in ("Observation", "RiskAssessment", "DiagnosticReport"):
        assert {each["status"] for each in by_type(bundle)[kind]} == {"preliminary"}


def test_the_notice_stands_wherever_a_diagnosis_does() -> None:
    found = by_type(bundle_of())
    for kind in ("Observation", "RiskAssessment", "Device"):
        for each in found[kind]:
            assert {"text": RESEARCH_NOTICE} in each["note"], kind
    (report,) = found["DiagnosticReport"]
    assert RESEARCH_NOTICE in report["conclusion"]
    assert RESEARCH_NOTICE in report["text"]["div"]
    ET.fromstring(report["text"]["div"])  # noqa: S314 - our own


def test_the_device_is_known_by_its_version_and_digest() -> None:
    (device,) = by_type(bundle_of())["Device"]
    assert device["identifier"][0]["value"] == f"lentigo/4/{DIGEST}"
    assert [each["value"] for each in device["version"]] == ["4", DIGEST]


def test_a_service_without_a_digest_has_a_device_too() -> None:
    document = answer_document()
    del document["model"]["digest"]
    bundle = bundle_of(document)
    assert_valid(bundle)
    assert by_type(bundle)["Device"][0]["identifier"][0]["value"] == "lentigo/4"


def test_an_archive_that_names_a_patient_has_an_imaging_study() -> None:
    found = by_type(bundle_of(dicom=DICOM, subject=SUBJECT))
    (study,) = found["ImagingStudy"]
    assert study["identifier"] == [{"system": "urn:dicom:uid", "value": "urn:oid:2.25.1"}]
    assert study["series"][0]["instance"][0]["uid"] == "2.25.3"
    assert "DocumentReference" not in found
    for kind in ("Observation", "RiskAssessment", "DiagnosticReport"):
        assert all(each["subject"] == SUBJECT for each in found[kind]), kind
    assert found["DiagnosticReport"][0]["imagingStudy"]


def test_without_a_patient_nobody_is_named() -> None:
    found = by_type(bundle_of(dicom=DICOM))
    (document,) = found["DocumentReference"]
    assert document["identifier"][0]["value"] == "urn:oid:2.25.3"
    assert all("subject" not in each for each in found["Observation"])
    (risk,) = found["RiskAssessment"]
    assert risk["subject"]["extension"][0]["valueCode"] == "unknown"


def test_the_audit_event_says_who_asked() -> None:
    (event,) = by_type(bundle_of(requester=REQUESTER))["AuditEvent"]
    asked, answered = event["agent"]
    assert (asked["requestor"], asked["altId"]) == (True, "ward-7")
    assert asked["network"] == {"address": "192.0.2.7", "type": "2"}
    assert answered["requestor"] is False
    assert event["entity"][0]["detail"] == [{"type": "request", "valueString": "request-1"}]


def test_times_are_in_utc_whatever_zone_they_came_in() -> None:
    east = timezone(timedelta(hours=2))
    (report,) = by_type(bundle_of(answered=AT.astimezone(east)))["DiagnosticReport"]
    assert report["issued"] == "2026-11-30T10:00:00.123Z"


def test_a_bundle_is_json_of_a_few_kilobytes() -> None:
    text = json.dumps(bundle_of(), allow_nan=False)
    assert len(text) < 20_000
    assert ANSWER_ID in text


@pytest.mark.parametrize(
    ("place", "member"), [(2, "status"), (4, "subject"), (5, "code"), (7, "recorded")]
)
def test_a_bundle_that_lacks_a_member_would_be_noticed(place: int, member: str) -> None:
    bundle = bundle_of()
    del bundle["entry"][place]["resource"][member]
    with pytest.raises(ValueError, match=member):
        assert_valid(bundle)
