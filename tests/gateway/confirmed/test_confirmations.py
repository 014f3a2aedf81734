"""From a document that confirms a diagnosis to feedback and a final report."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import Dataset

from lentigo_contract.fhir.codes import DIAGNOSES_SYSTEM, SNOMED_CT
from lentigo_gateway.config import ConfirmationsConfig
from tests.contract.fhir.r4 import assert_valid
from tests.gateway.bench import HANGS, LINK_DOWN, Bench
from tests.gateway.confirmed.documents import code_item, melanoma, observation, structured_report
from tests.gateway.dicom import PATIENT_ID, PATIENT_NAME, dermoscopic, multi_frame
from tests.gateway.servers import DIGEST

Resource = dict[str, Any]

ANSWER = "019b1f6e-4a57-7c3e-8d5c-000000000001"
UNKNOWN = httpx.Response(404, json={"type": "urn:lentigo:problem:unknown-answer"})


def answered(bench: Bench, image: Dataset | None = None) -> Dataset:
    """Have an instance that was answered and delivered."""
    taken = dermoscopic(1) if image is None else image
    bench.archive.put(taken)
    bench.work()
    assert bench.entry.state == "done"
    return taken


def report(bench: Bench) -> Resource:
    (found,) = bench.fhir.of_type("DiagnosticReport")
    return found


def classification(bench: Bench) -> Resource:
    (found,) = [
        each
        for each in bench.fhir.of_type("Observation")
        if each["code"]["coding"][0]["code"] == "lesion-classification"
    ]
    return found


def concluded(found: Resource) -> list[str]:
    return [
        coding["code"]
        for concept in found["conclusionCode"]
        for coding in concept["coding"]
        if coding["system"] == DIAGNOSES_SYSTEM
    ]


# --- structured reports ---


def test_a_verified_report_becomes_feedback_and_a_final_report(fhir_bench: Bench) -> None:
    image = answered(fhir_bench)
    assert report(fhir_bench)["status"] == "preliminary"
    fhir_bench.archive.put(structured_report(str(image.SOPInstanceUID)))
    fhir_bench.confirm()
    assert fhir_bench.service.feedback == [(ANSWER, "mel", "histopathology")]
    final = report(fhir_bench)
    assert (final["status"], concluded(final)) == ("final", ["mel"])
    assert final["conclusion"].startswith(
        "Confirmed by histopathology: Melanoma. The model had said"
    )
    assert "Research use only" in final["conclusion"]
    assert len(final["result"]) == 3
    assert fhir_bench.confirmation().state == "done"
    for each in fhir_bench.fhir.resources.values():
        assert_valid(each)


def test_what_the_model_said_stays_as_it_was(fhir_bench: Bench) -> None:
    image = answered(fhir_bench)
    before = classification(fhir_bench)
    fhir_bench.archive.put(structured_report(str(image.SOPInstanceUID)))
    fhir_bench.confirm()
    assert classification(fhir_bench) == before


def test_a_report_that_refers_to_ours_alone_is_about_its_image(bench: Bench) -> None:
    answered(bench)
    ours = bench.report_uids()[0]
    bench.archive.put(structured_report(ours))
    bench.confirm()
    assert bench.service.feedback == [(ANSWER, "mel", "histopathology")]


def test_our_report_taken_over_and_verified_confirms_what_it_says(bench: Bench) -> None:
    image = answered(bench)
    said = [code_item(("99LENTIGO", "diagnosis"), ("99LENTIGO", "nv")), melanoma()[1]]
    bench.archive.put(structured_report(str(image.SOPInstanceUID), items=said))
    bench.confirm()
    assert bench.service.feedback == [(ANSWER, "nv", "histopathology")]


@pytest.mark.parametrize(
    "flags", [{"verification": "UNVERIFIED"}, {"completion": "PARTIAL"}, {"completion": ""}]
)
def test_a_report_that_nobody_stands_by_confirms_nothing(
    bench: Bench, flags: dict[str, Any]
) -> None:
    image = answered(bench)
    bench.archive.put(structured_report(str(image.SOPInstanceUID), **flags))
    bench.confirm()
    assert bench.service.feedback == []
    assert {each.state for each in bench.worklist.confirmations.latest(10)} <= {"ignored"}


def test_our_own_results_confirm_nothing(bench: Bench) -> None:
    answered(bench)
    for each in bench.archive.stored:
        bench.archive.put(each)
    bench.confirm()
    assert bench.worklist.confirmations.latest(10) == []


def test_a_report_about_something_else_is_ignored(bench: Bench) -> None:
    answered(bench)
    bench.archive.put(structured_report("1.2.3.4"))
    bench.confirm()
    assert bench.confirmation().state == "ignored"
    assert bench.service.feedback == []


def test_a_report_about_two_answered_images_is_refused(bench: Bench) -> None:
    images = [dermoscopic(number) for number in (1, 2)]
    for each in images:
        bench.archive.put(each)
    bench.work()
    bench.archive.put(structured_report(*(str(each.SOPInstanceUID) for each in images)))
    bench.confirm()
    assert bench.confirmation().state == "refused"
    assert "does not say which" in bench.confirmation().reason


def test_a_report_about_an_instance_of_two_frames_is_refused(bench: Bench) -> None:
    image = answered(bench, multi_frame(2))
    bench.archive.put(structured_report(str(image.SOPInstanceUID)))
    bench.confirm()
    assert bench.confirmation().state == "refused"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (("SCT", "999999"), "map of codes"),
        (("I10", "C44.9"), "map of codes"),  # wider than basal cell carcinoma
        (("99OTHER", "mel"), "map of codes"),
    ],
)
def test_an_unknown_code_is_refused(bench: Bench, value: tuple[str, str], why: str) -> None:
    image = answered(bench)
    items = [code_item(("DCM", "121077"), value), melanoma()[1]]
    bench.archive.put(structured_report(str(image.SOPInstanceUID), items=items))
    bench.confirm()
    assert bench.confirmation().state == "refused"
    assert why in bench.confirmation().reason
    assert bench.service.feedback == []


def test_a_part_of_a_diagnosis_confirms_it(bench: Bench) -> None:
    image = answered(bench)
    items = [code_item(("DCM", "121073"), ("SCT", "201101007")), melanoma()[1]]
    bench.archive.put(structured_report(str(image.SOPInstanceUID), items=items))
    bench.confirm()
    assert bench.service.feedback == [(ANSWER, "akiec", "histopathology")]


def test_two_diagnoses_are_refused(bench: Bench) -> None:
    image = answered(bench)
    items = [*melanoma(), code_item(("DCM", "121077"), ("99LENTIGO", "nv"))]
    bench.archive.put(structured_report(str(image.SOPInstanceUID), items=items))
    bench.confirm()
    assert "more than one diagnosis" in bench.confirmation().reason


def test_without_a_way_of_confirmation_the_configured_one_stands(tmp_path: Path) -> None:
    for name, config, expected in (
        ("none", ConfirmationsConfig(), []),
        ("set", ConfirmationsConfig(confirmed_by="follow-up"), [(ANSWER, "mel", "follow-up")]),
    ):
        (tmp_path / name).mkdir()
        bench = Bench(tmp_path / name, confirmations=config)
        image = answered(bench)
        items = melanoma()[:1]
        bench.archive.put(structured_report(str(image.SOPInstanceUID), items=items))
        bench.confirm()
        assert bench.service.feedback == expected
        assert bench.confirmation().state == ("done" if expected else "refused")


def test_a_report_that_comes_twice_is_told_once(bench: Bench) -> None:
    image = answered(bench)
    found = structured_report(str(image.SOPInstanceUID))
    for _ in range(2):
        bench.archive.put(found)
        bench.confirm()
    assert len(bench.service.feedback) == 1


def test_a_report_that_is_gone_before_it_is_read_is_ignored(bench: Bench) -> None:
    image = answered(bench)
    found = structured_report(str(image.SOPInstanceUID))
    bench.archive.put(found)
    while bench.source.look():
        pass
    del bench.archive.instances[str(found.SOPInstanceUID)]
    bench.confirm()
    assert bench.confirmation().state == "ignored"


def test_every_version_that_answered_gets_the_feedback(bench: Bench) -> None:
    image = answered(bench)
    bench.service.digest = "e" * 64
    bench.pass_time(10)
    bench.archive.put(image)
    bench.work()
    bench.archive.put(structured_report(str(image.SOPInstanceUID)))
    bench.confirm()
    assert len({answer for answer, _diagnosis, _way in bench.service.feedback}) == 2


# --- resources ---


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


# --- faults ---


def test_an_answer_that_the_service_does_not_know_still_has_a_final_report(
    fhir_bench: Bench,
) -> None:
    image = answered(fhir_bench)
    fhir_bench.service.on_feedback = UNKNOWN
    fhir_bench.archive.put(structured_report(str(image.SOPInstanceUID)))
    fhir_bench.confirm()
    found = fhir_bench.confirmation()
    assert found.state == "refused"
    assert "audit trail" in found.reason
    assert report(fhir_bench)["status"] == "final"
    fhir_bench.service.on_feedback = None
    fhir_bench.worklist.confirmations.retry(found.id)
    fhir_bench.confirm()
    assert fhir_bench.confirmation().state == "done"
    assert fhir_bench.service.feedback == [(ANSWER, "mel", "histopathology")]


def test_a_key_without_the_scope_holds_up_feedback_alone(bench: Bench) -> None:
    image = answered(bench)
    bench.service.on_feedback = httpx.Response(403)
    bench.archive.put(structured_report(str(image.SOPInstanceUID)))
    bench.confirm()
    bench.archive.put(dermoscopic(2))
    bench.work()
    assert bench.states() == {"done": 2}
    assert bench.confirmation().failures == 0
    (line,) = bench.events("feedback not accepted")
    assert "scope feedback" in line["reason"]
    bench.service.on_feedback = None
    bench.pass_time(120)
    bench.confirm()
    assert bench.confirmation().state == "done"
    assert len(bench.events("feedback accepted again")) == 1


@pytest.mark.parametrize(
    "fault", [LINK_DOWN, httpx.Response(503, headers={"Retry-After": "7"}), httpx.Response(429)]
)
def test_a_service_that_is_away_loses_no_feedback(bench: Bench, fault: Any) -> None:
    image = answered(bench)
    bench.service.on_feedback = fault
    bench.archive.put(structured_report(str(image.SOPInstanceUID)))
    bench.confirm()
    assert (bench.confirmation().state, bench.confirmation().failures) == ("read", 0)
    bench.service.on_feedback = None
    bench.pass_time(120)
    bench.confirm()
    assert bench.service.feedback == [(ANSWER, "mel", "histopathology")]


def test_feedback_that_fails_ten_times_is_parked_and_can_be_retried(bench: Bench) -> None:
    image = answered(bench)
    bench.service.on_feedback = httpx.Response(500)
    bench.archive.put(structured_report(str(image.SOPInstanceUID)))
    for _ in range(10):
        bench.confirm()
        bench.now += 700
    found = bench.confirmation()
    assert (found.state, "Given up after 10 attempts" in found.reason) == ("parked", True)
    bench.service.on_feedback = None
    bench.worklist.confirmations.retry(found.id)
    bench.confirm()
    assert bench.confirmation().state == "done"


@pytest.mark.parametrize("fault", [LINK_DOWN, HANGS, httpx.Response(500)])
def test_a_fhir_server_that_is_away_is_told_later_and_the_service_once(
    fhir_bench: Bench, fault: Any
) -> None:
    image = answered(fhir_bench)
    fhir_bench.archive.put(structured_report(str(image.SOPInstanceUID)))
    while fhir_bench.source.look():
        pass
    fhir_bench.fhir.down = fault
    while fhir_bench.confirmations.step():
        pass
    assert fhir_bench.confirmation().state == "told"
    assert report(fhir_bench)["status"] == "preliminary"
    fhir_bench.fhir.down = None
    fhir_bench.pass_time(120)
    fhir_bench.confirm()
    assert report(fhir_bench)["status"] == "final"
    assert len(fhir_bench.service.feedback) == 1


def test_a_report_that_somebody_changes_meanwhile_is_read_again(fhir_bench: Bench) -> None:
    answered(fhir_bench)
    name = fhir_bench.fhir.put(observation(classification(fhir_bench)))
    while fhir_bench.confirmed.look():
        pass
    fhir_bench.fhir.on_transaction = lambda: fhir_bench.fhir.put(report(fhir_bench))
    fhir_bench.confirm()
    assert fhir_bench.confirmation().failures == 1
    fhir_bench.pass_time(10)
    fhir_bench.confirm()
    final = report(fhir_bench)
    assert final["status"] == "final"
    assert {"reference": name, "type": "Observation"} in final["result"]


def test_a_final_report_that_the_server_refuses_is_parked(fhir_bench: Bench) -> None:
    image = answered(fhir_bench)
    fhir_bench.archive.put(structured_report(str(image.SOPInstanceUID)))
    while fhir_bench.source.look():
        pass
    search = fhir_bench.fhir.answer(
        httpx.Request("GET", "http://fhir.test/base/DiagnosticReport?_count=5")
    )
    fhir_bench.fhir.faults = [search, httpx.Response(422)]
    while fhir_bench.confirmations.step():
        pass
    assert fhir_bench.confirmation().state == "parked"
    assert fhir_bench.service.feedback == [(ANSWER, "mel", "histopathology")]


def test_a_report_that_is_not_on_the_server_yet_is_waited_for(fhir_bench: Bench) -> None:
    image = answered(fhir_bench)
    kept = dict(fhir_bench.fhir.resources)
    fhir_bench.fhir.resources.clear()
    fhir_bench.archive.put(structured_report(str(image.SOPInstanceUID)))
    fhir_bench.confirm()
    assert (fhir_bench.confirmation().state, fhir_bench.confirmation().failures) == ("told", 1)
    fhir_bench.fhir.resources.update(kept)
    fhir_bench.pass_time(10)
    fhir_bench.confirm()
    assert report(fhir_bench)["status"] == "final"


def test_a_query_that_the_server_refuses_is_a_failing_source(fhir_bench: Bench) -> None:
    from lentigo_gateway.errors import TryAgainError

    fhir_bench.fhir.down = httpx.Response(400)
    with pytest.raises(TryAgainError, match="refuses a search"):
        fhir_bench.confirmed.look()


def test_nobody_is_named_in_the_log_or_on_the_list(fhir_bench: Bench) -> None:
    image = answered(fhir_bench)
    fhir_bench.archive.put(structured_report(str(image.SOPInstanceUID)))
    fhir_bench.fhir.put(observation(classification(fhir_bench), "melanoma"))
    fhir_bench.confirm()
    kept = b"".join(each.read_bytes() for each in fhir_bench.worklist.folder.glob("*sqlite3*"))
    for secret in (PATIENT_NAME, PATIENT_ID):
        assert secret not in str(fhir_bench.lines)
        assert secret.encode() not in kept


def test_a_gateway_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    first = Bench(tmp_path, fhir=True)
    image = answered(first)
    first.archive.put(structured_report(str(image.SOPInstanceUID)))
    while first.source.look():
        pass
    first.worklist.close()
    second = Bench(tmp_path, fhir=True)
    second.archive, second.fhir.resources = first.archive, first.fhir.resources
    second.now = first.now + 1
    second.confirmations._ends = first.confirmations._ends
    while second.confirmations.step():
        pass
    assert second.confirmation().state == "done"
    assert first.service.feedback == [(ANSWER, "mel", "histopathology")]
