"""An inference service that goes wrong: it is asked again, and refusals are kept."""

import httpx
import pytest
from pydicom.encaps import encapsulate

from tests.fakes import jpeg_bytes
from tests.gateway.bench import LINK_DOWN, Bench
from tests.gateway.dicom import dermoscopic
from tests.gateway.processing.faults import problem


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
