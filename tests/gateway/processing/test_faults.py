"""What may go wrong: nothing is lost, there is one clear line, and no patient is in it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate

from lentigo_gateway.errors import WorkListError
from tests.fakes import jpeg_bytes, lesion_image
from tests.gateway.bench import ATTEMPTS, HANGS, LINK_DOWN, Bench, failing_results
from tests.gateway.dicom import PATIENT_ID, PATIENT_NAME, dermoscopic, file_of, uncompressed

HOSTILE_NAME = "Roe^Richarda\r\n\x1b[31mFAKE LINE\x00"


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


# --- the instance ---

GREY = np.asarray(lesion_image(1).convert("L"))
BAD = {
    "not DICOM": (dermoscopic(1), b"<html>not DICOM</html>", "not DICOM"),
    "no pixels": (dermoscopic(1, PixelData=None), None, "no pixels"),
    "12-bit grey": (
        uncompressed(
            GREY,
            "MONOCHROME2",
            BitsAllocated=16,
            BitsStored=12,
            HighBit=11,
            PixelData=GREY.astype("<u2").tobytes(),
        ),
        None,
        "12 bits",
    ),
    "1,000 frames": (dermoscopic(1, NumberOfFrames=1_000), None, "1,000 frames"),
    "huge": (dermoscopic(1, Rows=60_000, Columns=60_000), None, "3,600,000,000 pixels"),
    "cut off": (
        uncompressed(np.asarray(lesion_image(1)), PixelData=b"\x00" * 1_000),
        None,
        "cut off",
    ),
    "a file that is cut off": (dermoscopic(1), file_of(dermoscopic(1))[:500], "not DICOM"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_instance_is_refused_once_with_a_reason(bench: Bench, name: str) -> None:
    image, data, told = BAD[name]
    # A source has seen its header.
    orthanc = bench.archive.put(image)
    bench.source.look()
    if data is not None:
        bench.archive.instances[str(image.SOPInstanceUID)] = data
    bench.finish_due()
    bench.pass_time(10)
    assert bench.states() == {"refused": 1}
    assert told in bench.entry.reason
    (line,) = bench.events("instance")
    assert (line["outcome"], line["level"]) == ("refused", "warning")
    assert bench.service.images == []
    assert orthanc
    assert_no_patient_in(bench)


def test_an_instance_without_a_preamble_is_answered(bench: Bench) -> None:
    image = dermoscopic(1)
    bench.archive.put(image, file_of(image)[132:])
    bench.work()
    assert bench.states() == {"done": 1}


def test_an_instance_of_500_mb_is_refused_before_it_is_read(bench: Bench) -> None:
    bench.archive.put(dermoscopic(1))
    bench.source.look()
    bench.archive.faults = [
        httpx.Response(200, content=b"", headers={"Content-Length": str(500 * 10**6)})
    ]
    bench.finish_due()
    assert bench.states() == {"refused": 1}
    assert "more than" in bench.entry.reason


@pytest.mark.filterwarnings("ignore:Found unknown escape sequence")
def test_a_name_with_control_characters_harms_nobody(bench: Bench) -> None:
    bench.archive.put(dermoscopic(1, PatientName=HOSTILE_NAME, StudyDescription=HOSTILE_NAME))
    bench.work()
    assert bench.states() == {"done": 1}
    assert_no_patient_in(bench)


def test_private_attributes_with_scripts_go_nowhere(bench: Bench) -> None:
    image = dermoscopic(1)
    block = image.private_block(0x0009, "MADE BY CODE", create=True)
    block.add_new(0x01, "LT", "<script>alert(1)</script>")
    bench.archive.put(image)
    bench.work()
    assert bench.states() == {"done": 1}
    assert all(b"<script>" not in file_of(each) for each in bench.archive.stored)


def test_an_instance_that_no_result_can_be_made_of_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path, make_results=failing_results)
    bench.archive.put(dermoscopic(1))
    bench.work()
    assert bench.states() == {"refused": 1}
    assert_no_patient_in(bench)


# --- the archive ---


def test_a_study_that_is_deleted_before_it_is_fetched_is_gone(bench: Bench) -> None:
    image = dermoscopic(1)
    bench.archive.put(image)
    bench.source.look()
    bench.archive.instances.clear()
    bench.finish_due()
    assert bench.states() == {"gone": 1}
    assert bench.archive.stored == []


def test_a_study_that_is_deleted_before_delivery_is_not_made_anew(bench: Bench) -> None:
    bench.archive.put(dermoscopic(1))
    bench.archive.on_store = answering(httpx.Response(500))
    bench.work()
    assert bench.states() == {"answered": 1}
    bench.archive.on_store = None
    bench.archive.instances.clear()
    bench.pass_time(10)
    assert bench.states() == {"gone": 1}
    assert bench.archive.stored == []


@pytest.mark.parametrize("fault", [httpx.Response(500), HANGS, httpx.Response(502)])
def test_an_instance_that_fails_again_and_again_is_parked(
    bench: Bench, fault: httpx.Response | Exception
) -> None:
    bench.archive.put(dermoscopic(1))
    bench.archive.put(dermoscopic(2))
    bench.source.look()
    poison = bench.entries()[0].instance.locator.partition(":")[2]
    answer = bench.archive.answer

    def failing(request: httpx.Request) -> httpx.Response:
        if poison in request.url.path:
            if isinstance(fault, Exception):
                raise fault
            return httpx.Response(fault.status_code)
        return answer(request)

    bench.archive.answer = failing  # type: ignore[method-assign]
    bench.finish_due()
    bench.pass_time(1 + 2 + 4 + 8 + 16 + 32 + 64 + 128 + 256 + 20)
    assert bench.states() == {"done": 1, "parked": 1}
    parked = bench.worklist.latest(1, "parked")[0]
    assert f"Given up after {ATTEMPTS} attempts" in parked.reason
    bench.archive.answer = answer  # type: ignore[method-assign]
    bench.worklist.retry(parked.id)
    bench.finish_due()
    assert bench.states() == {"done": 2}


@pytest.mark.parametrize("down", [httpx.Response(500), LINK_DOWN, HANGS, httpx.Response(503)])
def test_an_archive_that_is_away_for_an_hour_costs_no_instance(
    bench: Bench, down: httpx.Response | Exception
) -> None:
    for number in range(5):
        bench.archive.put(dermoscopic(number))
    bench.source.look()
    bench.archive.down = down
    bench.finish_due()
    bench.pass_time(3_600)
    assert bench.states() == {"waiting": 5}
    assert len(bench.events("archive unavailable")) == 1
    bench.archive.down = None
    bench.pass_time(61)
    assert bench.states() == {"done": 5}
    assert {entry.failures for entry in bench.entries()} == {0}
    assert len(bench.events("archive available again")) == 1


def test_an_archive_that_refuses_a_result_has_it_parked_with_the_reason(bench: Bench) -> None:
    bench.archive.put(dermoscopic(1))
    bench.archive.on_store = answering(httpx.Response(409, json=failed(0xA900)))
    bench.work()
    assert bench.states() == {"parked": 1}
    assert "0xa900" in bench.entry.reason
    bench.archive.on_store = None
    bench.worklist.retry(bench.entry.id)
    bench.finish_due()
    assert bench.states() == {"done": 1}
    assert len(bench.service.images) == 1


@pytest.mark.parametrize(
    "full",
    [httpx.Response(507), httpx.Response(409, json=failed(0xA700))],
    ids=["507", "out of resources"],
)
def test_an_archive_whose_disk_is_full_is_waited_for(bench: Bench, full: httpx.Response) -> None:
    for number in range(3):
        bench.archive.put(dermoscopic(number))
    bench.archive.on_store = answering(full)
    bench.work()
    bench.pass_time(3_600)
    assert {entry.failures for entry in bench.entries()} == {0}
    assert bench.states().get("parked", 0) == 0
    assert len(bench.events("results not taken")) == 1
    asked = sum(each.method == "POST" for each in bench.archive.asked)
    assert asked < 100
    bench.archive.on_store = None
    bench.pass_time(61)
    assert bench.states() == {"done": 3}
    assert len(bench.events("results taken again")) == 1
    assert len(bench.service.images) == 3


def test_an_archive_that_fails_at_a_result_is_asked_ten_times(bench: Bench) -> None:
    # Orthanc's word for whatever goes wrong, a full disk too.
    bench.archive.put(dermoscopic(1))
    bench.archive.on_store = answering(httpx.Response(409, json=failed(0x0110)))
    bench.work()
    assert bench.states() == {"answered": 1}
    bench.pass_time(1_200)
    assert bench.states() == {"parked": 1}
    assert "0x0110" in bench.entry.reason
    bench.archive.on_store = None
    bench.worklist.retry(bench.entry.id)
    bench.finish_due()
    assert bench.states() == {"done": 1}


@pytest.mark.parametrize(
    "silent",
    [
        # Orthanc 1.10 with a full disk.
        httpx.Response(200, json={"00081198": {"vr": "SQ"}, "00081199": {"vr": "SQ"}}),
        httpx.Response(202),
        httpx.Response(409),
        httpx.Response(200, json=[]),
    ],
    ids=["empty lists", "202", "409", "no object"],
)
def test_a_result_is_delivered_once_the_archive_says_so(
    bench: Bench, silent: httpx.Response
) -> None:
    bench.archive.put(dermoscopic(1))
    bench.archive.on_store = answering(silent)
    bench.work()
    assert bench.states() == {"answered": 1}
    bench.archive.on_store = None
    bench.pass_time(5)
    assert bench.states() == {"done": 1}
    assert len(bench.archive.stored) == 2


def test_a_result_that_the_archive_has_already_counts_as_stored(bench: Bench) -> None:
    bench.archive.put(dermoscopic(1))
    bench.archive.on_store = answering(httpx.Response(409, json=failed(0x0111)))
    bench.work()
    assert bench.states() == {"done": 1}


def test_a_response_that_is_lost_makes_no_second_result(bench: Bench) -> None:
    bench.archive.put(dermoscopic(1))
    store = bench.archive.store
    lost: list[int] = []

    def losing(request: httpx.Request) -> httpx.Response:
        response = store(request)
        if not lost:
            lost.append(1)
            raise HANGS
        return response

    bench.archive.on_store = losing
    bench.work()
    bench.pass_time(10)
    assert bench.states() == {"done": 1}
    assert len(bench.archive.stored) == 2


def test_an_archive_that_drips_its_answer_is_given_up(bench: Bench) -> None:
    image = dermoscopic(1)
    bench.archive.put(image)
    bench.source.look()

    class Dripping(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for _ in range(1_000):
                bench.now += 5
                yield b"x"

    bench.archive.faults = [httpx.Response(200, stream=Dripping())]
    bench.worker.step()
    assert bench.states() == {"waiting": 1}
    assert "did not answer within 30 s" in bench.entry.reason


# --- the inference service ---


def test_a_busy_service_is_asked_again_when_it_said(bench: Bench) -> None:
    bench.archive.put(dermoscopic(1))
    bench.source.look()
    bench.service.down = problem(503, "busy", **{"Retry-After": "7"})
    bench.worker.step()
    asked = len(bench.service.asked)
    bench.service.down = None
    bench.pass_time(6.5)
    assert len(bench.service.asked) == asked
    bench.pass_time(1)
    assert bench.states() == {"done": 1}
    assert bench.entry.failures == 0


def test_a_service_that_is_away_costs_no_instance_and_is_told_of_once(bench: Bench) -> None:
    for number in range(20):
        bench.archive.put(dermoscopic(number))
    bench.service.down = LINK_DOWN
    bench.work()
    bench.pass_time(3_600)
    assert bench.states() == {"waiting": 20}
    assert len(bench.events("inference service unavailable")) == 1
    # Not twenty times a second: as often as one that is left alone.
    assert len(bench.service.asked) < 150
    bench.service.down = None
    bench.pass_time(61)
    assert bench.states() == {"done": 20}


def test_a_service_without_a_model_is_waited_for(bench: Bench) -> None:
    bench.archive.put(dermoscopic(1))
    bench.service.faults = [httpx.Response(200, json={"models": []})]
    bench.work()
    assert bench.states() == {"waiting": 1}
    bench.pass_time(5)
    assert bench.states() == {"done": 1}


@pytest.mark.parametrize(
    ("status", "slug"),
    [(422, "undecodable-image"), (415, "unsupported-image"), (413, "image-too-large")],
)
def test_an_image_that_the_service_refuses_is_refused_with_its_reason(
    bench: Bench, status: int, slug: str
) -> None:
    bench.archive.put(dermoscopic(1))
    answer = bench.service.answer

    def refusing(request: httpx.Request) -> httpx.Response:
        return problem(status, slug) if request.method == "POST" else answer(request)

    bench.service.answer = refusing  # type: ignore[method-assign]
    bench.work()
    assert bench.states() == {"refused": 1}
    assert slug in bench.entry.reason


def test_a_truncated_jpeg_frame_is_refused_by_the_service(bench: Bench) -> None:
    half = jpeg_bytes()[:2_000]
    bench.archive.put(dermoscopic(1, PixelData=encapsulate([half])))
    answer = bench.service.answer

    def strict(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            assert request.content.startswith(half)
            return problem(422, "undecodable-image")
        return answer(request)

    bench.service.answer = strict  # type: ignore[method-assign]
    bench.work()
    assert bench.states() == {"refused": 1}


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_is_waited_for(bench: Bench, status: int) -> None:
    bench.archive.put(dermoscopic(1))
    bench.service.down = httpx.Response(status)
    bench.work()
    bench.pass_time(3_600)
    assert bench.states() == {"waiting": 1}
    (line,) = bench.events("inference service unavailable")
    assert "key" in line["reason"]
    bench.service.down = None
    bench.pass_time(61)
    assert bench.states() == {"done": 1}


@pytest.mark.parametrize(
    "answer", [b"{}", b"[]", b"no json", b'{"id": 1}', b'{"models": [{"name": "lentigo"}]}']
)
def test_an_answer_that_is_not_lentigos_is_tried_again(bench: Bench, answer: bytes) -> None:
    bench.archive.put(dermoscopic(1))
    bench.service.faults = [httpx.Response(200, content=answer)]
    bench.work()
    assert bench.states() == {"waiting": 1}
    bench.pass_time(5)
    assert bench.states() == {"done": 1}


# --- the FHIR server ---


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


# --- the gateway itself ---


def test_a_disk_that_cannot_be_written_loses_nothing(bench: Bench) -> None:
    bench.archive.put(dermoscopic(1))
    bench.source.look()
    database = bench.worklist._database._connection
    database.execute("PRAGMA query_only = 1")
    with pytest.raises(WorkListError, match="cannot be written"):
        bench.worker.step()
    assert bench.archive.stored == []
    database.execute("PRAGMA query_only = 0")
    bench.finish_due()
    assert bench.states() == {"done": 1}


def test_a_full_disk_loses_nothing_of_what_comes_meanwhile(bench: Bench) -> None:
    database = bench.worklist._database._connection
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {pages + 1}")
    for number in range(100):
        bench.archive.put(dermoscopic(number))
    with pytest.raises(WorkListError, match="full"):
        bench.source.look()
    assert bench.states() == {}
    database.execute("PRAGMA max_page_count = 1000000")
    bench.source.look()
    assert bench.states() == {"waiting": 100}


def test_an_instance_that_ends_the_program_each_time_is_parked(bench: Bench) -> None:
    poison = dermoscopic(1)
    bench.archive.put(poison)
    bench.archive.put(dermoscopic(2))
    bench.source.look()
    for _ in range(ATTEMPTS):
        # As after a fault in a decoder: nothing was released.
        assert bench.worklist.claim() is not None
        bench.worklist._claimed.clear()
        bench.worker.recover()
        bench.now += 0.25
        bench.worker.step()
        bench.now = bench.entries()[0].due
    assert bench.states() == {"done": 1, "parked": 1}
    assert "ended while it worked on the instance" in bench.entries()[0].reason
    lines = bench.events("instance")
    assert [line["outcome"] for line in lines if line["entry"] == 1] == [
        *["to be tried again"] * (ATTEMPTS - 1),
        "parked",
    ]
    bench.worker.recover()
    assert len(bench.events("instance")) == len(lines)


def test_a_fault_of_ours_is_counted_told_of_and_parked(bench: Bench) -> None:
    bench.archive.put(dermoscopic(1))

    def broken(*_arguments: object) -> list[Dataset]:
        raise RuntimeError(f"{PATIENT_NAME} broke it")

    bench.worker._processor._make_results = broken
    bench.work()
    bench.pass_time(1_200)
    assert bench.states() == {"parked": 1}
    assert len(bench.events("unforeseen error")) == ATTEMPTS
    assert "RuntimeError at test_faults.py" in bench.entry.reason
    assert_no_patient_in(bench)


def test_each_outcome_is_one_line(bench: Bench) -> None:
    for number in range(3):
        bench.archive.put(dermoscopic(number))
    bench.work()
    lines = bench.events("instance")
    assert [(line["entry"], line["outcome"]) for line in lines] == [
        (1, "done"),
        (2, "done"),
        (3, "done"),
    ]
    assert len(bench.lines) == 3
    assert_no_patient_in(bench)
