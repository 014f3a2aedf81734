"""From a FHIR resource that confirms a diagnosis to feedback and a final report."""

from pathlib import Path
from typing import Any

import pytest

from lentigo_contract.fhir.codes import SNOMED_CT
from lentigo_gateway.config import ConfirmationsConfig
from tests.gateway.bench import Bench
from tests.gateway.confirmed.documents import observation
from tests.gateway.confirmed.outcomes import ANSWER, answered, classification, concluded, report
from tests.gateway.servers import DIGEST


def test_a_final_observation_becomes_feedback_and_a_result_of_our_report(fhir_bench: Bench) -> None:
    answered(fhir_bench)
    name = fhir_bench.fhir.put(observation(classification(fhir_bench)))
    fhir_bench.confirm()
    assert fhir_bench.service.feedback == [(ANSWER, "mel", "histopathology")]
    final = report(fhir_bench)
    assert (final["status"], concluded(final)) == ("final", ["mel"])
    assert {"reference": name, "type": "Observation"} in final["result"]


def test_what_we_write_ourselves_is_not_taken_for_a_confirmation(fhir_bench: Bench) -> None:
    answered(fhir_bench)
    fhir_bench.fhir.put(observation(classification(fhir_bench)))
    for _ in range(3):
        fhir_bench.confirm()
        fhir_bench.pass_time(60)
    assert len(fhir_bench.service.feedback) == 1
    assert report(fhir_bench)["meta"]["versionId"] == "2"
    assert len(fhir_bench.worklist.confirmations.latest(10)) == 1


def test_another_diagnosis_later_amends_the_report(fhir_bench: Bench) -> None:
    answered(fhir_bench)
    about = classification(fhir_bench)
    for code in ("mel", "nv"):
        fhir_bench.fhir.put(observation(about, code))
        fhir_bench.confirm()
        fhir_bench.pass_time(60)
    assert [diagnosis for _answer, diagnosis, _way in fhir_bench.service.feedback] == ["mel", "nv"]
    final = report(fhir_bench)
    assert (final["status"], concluded(final)) == ("amended", ["nv"])
    assert final["conclusion"].count("The model had said") == 1


def test_our_report_made_final_by_a_clinician_confirms_its_conclusion(tmp_path: Path) -> None:
    bench = Bench(tmp_path, fhir=True, confirmations=ConfirmationsConfig(confirmed_by="consensus"))
    answered(bench)
    bench.fhir.put({**report(bench), "status": "final"})
    bench.confirm()
    assert bench.service.feedback == [(ANSWER, "nv", "consensus")]
    assert report(bench)["meta"]["versionId"] == "2"  # it is left as the clinician made it


def test_a_report_by_another_system_is_about_our_results(tmp_path: Path) -> None:
    config = ConfirmationsConfig(reports="", confirmed_by="histopathology")
    bench = Bench(tmp_path, fhir=True, confirmations=config)
    answered(bench)
    bench.fhir.put(
        {
            "resourceType": "DiagnosticReport",
            "status": "final",
            "code": {"text": "Histology"},
            "result": [{"reference": f"Observation/{classification(bench)['id']}"}],
            "conclusionCode": [{"coding": [{"system": SNOMED_CT, "code": "254701007"}]}],
        }
    )
    bench.confirm()
    assert bench.service.feedback == [(ANSWER, "bcc", "histopathology")]
    ours = next(each for each in bench.fhir.of_type("DiagnosticReport") if "identifier" in each)
    assert (ours["status"], concluded(ours)) == ("final", ["bcc"])


@pytest.mark.parametrize("status", ["registered", "preliminary", "entered-in-error", "cancelled"])
def test_an_observation_that_is_not_final_confirms_nothing(fhir_bench: Bench, status: str) -> None:
    answered(fhir_bench)
    fhir_bench.fhir.put(observation(classification(fhir_bench), status=status))
    fhir_bench.confirm()
    assert fhir_bench.worklist.confirmations.latest(10) == []


@pytest.mark.parametrize(
    "about",
    [
        [{"reference": "Observation/no-such"}],
        [{"reference": "https://elsewhere.example/fhir/Observation/1/../../2"}],
        [
            {
                "identifier": {
                    "system": "urn:lentigo:answer",
                    "value": "1.2.3/" + "d" * 64 + "/report",
                }
            }
        ],
        [],
        "nonsense",
    ],
)
def test_an_observation_about_something_else_is_not_kept(fhir_bench: Bench, about: Any) -> None:
    answered(fhir_bench)
    fhir_bench.fhir.put(observation(classification(fhir_bench), derivedFrom=about))
    fhir_bench.confirm()
    assert fhir_bench.worklist.confirmations.latest(10) == []


def test_an_observation_by_our_identifier_needs_no_other_resource(fhir_bench: Bench) -> None:
    image = answered(fhir_bench)
    key = f"{image.SOPInstanceUID}/{DIGEST}/lesion-classification"
    about = [{"identifier": {"system": "urn:lentigo:answer", "value": key}}]
    fhir_bench.fhir.put(observation({"id": "-"}, derivedFrom=about))
    fhir_bench.confirm()
    assert fhir_bench.service.feedback == [(ANSWER, "mel", "histopathology")]


def test_a_refused_observation_is_used_once_it_is_corrected(fhir_bench: Bench) -> None:
    answered(fhir_bench)
    wrong = observation(classification(fhir_bench), "melanoma")
    name = fhir_bench.fhir.put(wrong)
    fhir_bench.confirm()
    assert fhir_bench.confirmation().state == "refused"
    fhir_bench.pass_time(60)
    fhir_bench.fhir.put({**observation(classification(fhir_bench)), "id": name.partition("/")[2]})
    fhir_bench.confirm()
    assert fhir_bench.service.feedback == [(ANSWER, "mel", "histopathology")]
