import httpx
import pytest

from lentigo_gateway.errors import ServerUnavailableError, TryAgainError
from tests.gateway.bench import HANGS, LINK_DOWN, Bench
from tests.gateway.dicom import dermoscopic


def test_new_instances_that_a_rule_takes_get_on_the_list(bench: Bench) -> None:
    bench.archive.put(dermoscopic(1))
    bench.archive.put(dermoscopic(2, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.34"))
    bench.archive.put(dermoscopic(3))
    assert bench.source.look() is False
    assert [entry.instance.sop_instance_uid[-2:] for entry in bench.entries()] == [".1", ".3"]


def test_the_feed_is_read_to_its_end_and_on_from_there(bench: Bench) -> None:
    for number in range(250):
        bench.archive.put(dermoscopic(number))
    assert bench.source.look() is True
    assert bench.source.look() is True
    assert bench.source.look() is False
    assert bench.states() == {"waiting": 250}
    bench.archive.put(dermoscopic(250))
    bench.source.look()
    assert bench.states() == {"waiting": 251}
    assert bench.worklist.position("orthanc") == 251


def test_a_look_that_fails_is_made_again_from_the_same_place(bench: Bench) -> None:
    bench.archive.put(dermoscopic(1))
    bench.archive.put(dermoscopic(2))
    # The feed answers, then the attributes of the first instance, and then nobody.
    bench.source.look()
    bench.archive.put(dermoscopic(3))
    bench.archive.down = LINK_DOWN
    with pytest.raises(ServerUnavailableError):
        bench.source.look()
    assert bench.worklist.position("orthanc") == 2
    bench.archive.down = None
    bench.source.look()
    assert bench.states() == {"waiting": 3}


def test_an_instance_that_is_deleted_meanwhile_is_passed_over(bench: Bench) -> None:
    image = dermoscopic(1)
    bench.archive.put(image)
    bench.archive.put(dermoscopic(2))
    del bench.archive.instances[str(image.SOPInstanceUID)]
    bench.source.look()
    assert bench.states() == {"waiting": 1}


def test_an_instance_whose_attributes_always_fail_does_not_stop_the_feed(bench: Bench) -> None:
    poison = bench.archive.put(dermoscopic(1))
    bench.archive.put(dermoscopic(2))
    answer = bench.archive.answer

    def failing(request: httpx.Request) -> httpx.Response:
        if poison in request.url.path:
            return httpx.Response(500)
        return answer(request)

    bench.archive.answer = failing  # type: ignore[method-assign]
    for _ in range(4):
        with pytest.raises(TryAgainError):
            bench.source.look()
    bench.source.look()
    assert bench.states() == {"waiting": 1}
    (line,) = bench.events("instance skipped")
    assert (line["orthanc"], line["level"]) == (poison, "error")


@pytest.mark.parametrize(
    ("sop_class", "told"),
    [("1.2.840.10008.5.1.4.1.1.77.1.6", 0), ("1.2.840.10008.5.1.4.1.1.77.1.7", 1)],
    ids=["a slide", "a photograph"],
)
def test_an_instance_of_endless_attributes_does_not_stop_the_feed(
    bench: Bench, sop_class: str, told: int
) -> None:
    slide = bench.archive.put(dermoscopic(1, SOPClassUID=sop_class))
    bench.archive.put(dermoscopic(2))
    answer = bench.archive.answer

    def endless(request: httpx.Request) -> httpx.Response:
        if slide in request.url.path and "simplified-tags" in request.url.path:
            return httpx.Response(200, headers={"Content-Length": str(10**9)}, content=b"")
        return answer(request)

    bench.archive.answer = endless  # type: ignore[method-assign]
    bench.source.look()
    assert bench.states() == {"waiting": 1}
    # Of a class that is never answered, nobody needs to hear.
    assert len(bench.events("instance skipped")) == told


def test_an_archive_that_begins_anew_is_read_from_the_beginning(bench: Bench) -> None:
    bench.worklist.add([], ("orthanc", 1_000))
    bench.archive.put(dermoscopic(1))
    assert bench.source.look() is True
    assert bench.source.look() is False
    assert bench.states() == {"waiting": 1}


@pytest.mark.parametrize(
    "fault",
    [
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"Changes": [{"ID": 1}], "Last": 1, "Done": True}),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, content=b"[" * 100_000),
        httpx.Response(500),
        HANGS,
    ],
)
def test_an_answer_that_is_not_orthancs_is_tried_again(
    bench: Bench, fault: httpx.Response | Exception
) -> None:
    bench.worklist.add([], ("orthanc", 0))
    bench.archive.put(dermoscopic(1))
    bench.archive.faults = [fault]
    with pytest.raises(TryAgainError):
        bench.source.look()
    bench.source.look()
    assert bench.states() == {"waiting": 1}


def test_an_id_that_is_none_of_orthancs_gets_into_no_address(bench: Bench) -> None:
    bench.archive.feed.append({"Seq": 1, "ChangeType": "NewInstance", "ID": "../../system"})
    with pytest.raises(TryAgainError):
        bench.source.look()
    assert not [each for each in bench.archive.asked if "system" in str(each.url)]
