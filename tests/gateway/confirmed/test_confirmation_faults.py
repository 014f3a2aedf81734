"""Confirmations that go wrong: no feedback is lost, and nobody is named."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.bench import HANGS, LINK_DOWN, Bench
from tests.gateway.confirmed.documents import observation, structured_report
from tests.gateway.confirmed.outcomes import ANSWER, answered, classification, report
from tests.gateway.dicom import PATIENT_ID, PATIENT_NAME, dermoscopic

UNKNOWN = httpx.Response(404, json={"type": "urn:lentigo:problem:unknown-answer"})


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
