"""Answers that go wrong, and what may stand in no line."""

import json
from collections.abc import Callable

import httpx

from tests.gateway.bench import Bench
from tests.gateway.dicom import PATIENT_ID, PATIENT_NAME


def problem(status: int, slug: str, **headers: str) -> httpx.Response:
    return httpx.Response(
        status,
        json={"type": f"urn:lentigo:problem:{slug}", "detail": "told to a person"},
        headers=headers,
    )


def assert_no_patient_in(bench: Bench) -> None:
    told = json.dumps(bench.lines) + "".join(entry.reason for entry in bench.entries())
    for secret in (PATIENT_NAME, "Roe", "Richarda", PATIENT_ID, "19700101", "FAKE LINE"):
        assert secret not in told
    # Not even which instance it is: a log names it by the number of its entry.
    for entry in bench.entries():
        assert entry.instance.sop_instance_uid not in json.dumps(bench.lines)


def answering(response: httpx.Response) -> Callable[[httpx.Request], httpx.Response]:
    """Give a handler that answers so, whatever it is asked."""

    def answer(request: httpx.Request) -> httpx.Response:
        del request
        return response

    return answer


def failed(reason: int) -> dict[str, object]:
    """Give the response to STOW-RS that says why report and picture are not stored."""
    item = {"00081197": {"vr": "US", "Value": [reason]}}
    return {"00081198": {"vr": "SQ", "Value": [item, item]}}
