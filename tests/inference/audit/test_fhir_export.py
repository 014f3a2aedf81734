"""`lentigo-inference audit export --format fhir`."""

import json
from typing import Any

import pytest

from lentigo_contract.fhir.codes import shipped_code_map
from lentigo_inference.audit.records import Said, administration, answer, inference
from lentigo_inference.cli import main
from tests.contract.fhir.r4 import assert_valid, by_type, observation
from tests.inference.audit.trails import CALLER, MODEL, Trail, id_at
from tests.predictions import SHARES

Captured = pytest.CaptureFixture[str]

SAID = Said("mel", SHARES, 0.69, 0.18, True, ["malignancy"], [])
REFUSED = Said(None, {}, None, 0.18, True, ["unusable"], ["blurred"])


def answered(trail: Trail, said: Said = SAID, image: str = "a" * 64) -> dict[str, Any]:
    return answer(str(id_at(trail.clock.now)), CALLER, image, said, MODEL)


def written(trail: Trail, *records: dict[str, Any]) -> None:
    writer = trail.writer()
    writer.write(records)
    writer.close()


def exported(trail: Trail, capsys: Captured, *options: str) -> list[dict[str, Any]]:
    assert main(["audit", "export", "--dir", str(trail.folder), "--format", "fhir", *options]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_an_answer_is_a_bundle_on_a_line(trail: Trail, capsys: Captured) -> None:
    record = answered(trail)
    written(trail, record)
    (bundle,) = exported(trail, capsys)
    assert_valid(bundle)
    found = by_type(bundle)
    assert {"AuditEvent", "Provenance", "Observation"} <= set(found)
    said = observation(bundle, "lesion-classification")
    assert said["identifier"][0]["value"] == f"{record['id']}/lesion-classification"
    assert [each["valueQuantity"]["value"] for each in said["component"]] == list(SHARES.values())
    (event,) = found["AuditEvent"]
    assert event["agent"][0]["altId"] == "ward-7"
    assert event["agent"][0]["network"]["address"] == "10.0.0.1"
    (device,) = found["Device"]
    assert device["identifier"][0]["value"] == f"lentigo/3/{'f' * 64}"


def test_an_image_that_could_not_be_judged_is_exported_too(trail: Trail, capsys: Captured) -> None:
    written(trail, answered(trail, REFUSED))
    (bundle,) = exported(trail, capsys)
    assert_valid(bundle)
    assert observation(bundle, "lesion-classification")["dataAbsentReason"]
    assert observation(bundle, "image-quality")["valueBoolean"] is False


def test_an_answer_in_spite_of_its_quality_has_both(trail: Trail, capsys: Captured) -> None:
    forced = Said("mel", SHARES, 0.69, 0.18, True, ["malignancy", "unusable"], ["blurred"])
    written(trail, answered(trail, forced))
    (bundle,) = exported(trail, capsys)
    assert observation(bundle, "lesion-classification")["valueCodeableConcept"]
    assert observation(bundle, "image-quality")["valueBoolean"] is False


@pytest.mark.parametrize("confirmed", ["mel", "nv", "other"])
def test_feedback_is_a_final_observation_of_the_answer(
    trail: Trail, capsys: Captured, confirmed: str
) -> None:
    record = answered(trail)
    written(trail, record, trail.feedback(record, confirmed, "histopathology"))
    said, told = exported(trail, capsys)
    assert_valid(told)
    (observed,) = by_type(told)["Observation"]
    assert observed["status"] == "final"
    assert observed["valueCodeableConcept"]["coding"][0]["code"] == confirmed
    assert observed["method"]["text"] == "histopathology"
    known_by = observation(said, "lesion-classification")["identifier"][0]
    assert observed["derivedFrom"][0]["identifier"] == known_by


def test_pixels_and_acts_of_administration_are_audit_events(trail: Trail, capsys: Captured) -> None:
    pixels = inference(CALLER, [("b" * 64, list(SHARES.values()))], MODEL)
    refused = administration("refused", 4, reason="an engine disagrees")
    asked = administration("load", None, CALLER)
    written(trail, pixels, refused, asked)
    bundles = exported(trail, capsys)
    for bundle in bundles:
        assert_valid(bundle)
        assert set(by_type(bundle)) == {"AuditEvent"}
    one, two, three = (by_type(bundle)["AuditEvent"][0] for bundle in bundles)
    details = {each["type"]: each["valueString"] for each in one["entity"][0]["detail"]}
    assert details["probability of mel"] == "0.62"
    assert (two["outcome"], two["outcomeDesc"]) == ("4", "an engine disagrees")
    assert two["agent"][0]["who"] == {"display": "Lentigo"}
    assert three["agent"][0]["altId"] == "ward-7"
    assert three["outcome"] == "0"


def test_every_entry_is_known_by_something_of_its_own(trail: Trail, capsys: Captured) -> None:
    for number in range(3):
        trail.clock.now += 1
        record = answered(trail, image=f"{number:064x}")
        written(trail, record, administration("load", 1, CALLER))
    conditions = [
        (entry["request"]["url"], entry["request"]["ifNoneExist"])
        for bundle in exported(trail, capsys)
        for entry in bundle["entry"]
        if entry["request"]["url"] != "Device"
    ]
    assert len(set(conditions)) == len(conditions)


def test_what_proves_the_trail_stays_in_it(trail: Trail, capsys: Captured) -> None:
    written(trail)
    trail.write(0)
    assert exported(trail, capsys) == []


@pytest.mark.parametrize(
    ("member", "other"),
    [
        (b'"probabilities":{', b'"shares":{'),
        (b'"malignancy":0.69', b'"malignancy":6.9'),
        (b'"malignancy":0.69', b'"malignancy":NaN'),
        (b'"diagnosis":"mel"', b'"diagnosis":"wart"'),
        (b'"settings":{', b'"settings":[],"x":{'),
        (b'"probabilities":{"akiec":0.02,', b'"probabilities":{'),
        (b'"time":"', b'"time":"not '),
    ],
)
def test_a_record_that_was_edited_is_one_line(
    trail: Trail, capsys: Captured, member: bytes, other: bytes
) -> None:
    written(trail, answered(trail))
    trail.tamper(lambda lines: lines.__setitem__(1, lines[1].replace(member, other)))
    assert main(["audit", "export", "--dir", str(trail.folder), "--format", "fhir"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "Record 2 is not as the service writes it. `audit verify` says" in line


def test_a_hospitals_codes_stand_beside_ours(trail: Trail, capsys: Captured) -> None:
    written(trail, answered(trail))
    file = trail.folder.parent / "codes.toml"
    file.write_text("schema = 1\ncodes = []\n")
    (bundle,) = exported(trail, capsys, "--codes", str(file))
    said = observation(bundle, "lesion-classification")
    assert len(said["valueCodeableConcept"]["coding"]) == 1
    assert len(shipped_code_map().codings("mel")) > 1
    file.write_text("schema = 2")
    arguments = [
        "audit",
        "export",
        "--dir",
        str(trail.folder),
        "--format",
        "fhir",
        "--codes",
        str(file),
    ]
    assert main(arguments) == 1
    assert "cannot be used" in capsys.readouterr().err
