"""An archive that goes wrong: no instance is lost, and none is answered twice."""

from collections.abc import Iterator

import httpx
import pytest

from tests.gateway.bench import ATTEMPTS, HANGS, LINK_DOWN, Bench
from tests.gateway.dicom import dermoscopic
from tests.gateway.processing.faults import answering, failed


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
