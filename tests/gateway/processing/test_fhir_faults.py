"""A FHIR server that goes wrong: results still reach the archive."""

import httpx
import pytest

from tests.gateway.bench import LINK_DOWN, Bench
from tests.gateway.dicom import PATIENT_NAME, dermoscopic
from tests.gateway.processing.faults import assert_no_patient_in


def test_a_fhir_server_that_is_away_does_not_hold_up_the_archive(fhir_bench: Bench) -> None:
    fhir_bench.fhir.down = LINK_DOWN
    for number in range(5):
        fhir_bench.archive.put(dermoscopic(number))
    fhir_bench.work()
    fhir_bench.pass_time(120)
    assert fhir_bench.states() == {"answered": 5}
    assert len(fhir_bench.archive.stored) == 10
    fhir_bench.fhir.down = None
    fhir_bench.pass_time(120)
    assert fhir_bench.states() == {"done": 5}
    assert len(fhir_bench.fhir.bundles) == 5
    assert len(fhir_bench.service.images) == 5


@pytest.mark.parametrize("status", [400, 404, 412, 422])
def test_a_fhir_server_that_refuses_has_the_answer_parked(fhir_bench: Bench, status: int) -> None:
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [{"code": "invalid", "diagnostics": f"{PATIENT_NAME} is unknown"}],
    }
    fhir_bench.archive.put(dermoscopic(1))
    fhir_bench.fhir.faults = [httpx.Response(status, json=outcome)]
    fhir_bench.work()
    assert fhir_bench.states() == {"parked": 1}
    assert f"{status}, invalid" in fhir_bench.entry.reason
    assert_no_patient_in(fhir_bench)
    fhir_bench.worklist.retry(fhir_bench.entry.id)
    fhir_bench.finish_due()
    assert fhir_bench.states() == {"done": 1}
    assert len(fhir_bench.service.images) == 1


def test_a_resource_that_fails_within_a_transaction_has_it_parked(fhir_bench: Bench) -> None:
    fhir_bench.archive.put(dermoscopic(1))
    response = {"resourceType": "Bundle", "entry": [{"response": {"status": "422"}}]}
    fhir_bench.fhir.faults = [httpx.Response(200, json=response)]
    fhir_bench.work()
    assert fhir_bench.states() == {"parked": 1}


def test_two_transactions_at_the_same_time_are_tried_again(fhir_bench: Bench) -> None:
    fhir_bench.archive.put(dermoscopic(1))
    fhir_bench.fhir.faults = [httpx.Response(409)]
    fhir_bench.work()
    fhir_bench.pass_time(5)
    assert fhir_bench.states() == {"done": 1}
