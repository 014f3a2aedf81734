"""From a new instance to results in its study."""

from pathlib import Path

import httpx
import pytest

from lentigo_gateway.config import ImagesConfig
from lentigo_gateway.rules import Rule
from lentigo_gateway.worklist.entries import Entry, State
from tests.fakes import jpeg_bytes, lesion_image
from tests.gateway.bench import Bench, add
from tests.gateway.dicom import STUDY, dermoscopic, file_of, multi_frame
from tests.gateway.servers import DIGEST

SR = "1.2.840.10008.5.1.4.1.1.88.34"
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def test_an_instance_gets_a_report_and_a_picture_in_its_study(bench: Bench) -> None:
    bench.archive.put(dermoscopic(1))
    bench.work()
    assert bench.states() == {"done": 1}
    assert bench.service.images == [jpeg_bytes(lesion_image(1))]
    assert [str(each.SOPClassUID) for each in bench.archive.stored] == [SR, CAPTURE]
    assert {str(each.StudyInstanceUID) for each in bench.archive.stored} == {STUDY}


def test_nothing_of_an_answer_is_kept_once_it_is_delivered(bench: Bench) -> None:
    bench.archive.put(dermoscopic(1))
    bench.work()
    assert bench.entry.answers == ()
    assert bench.entry.model_digest == DIGEST
    kept = b"".join(
        path.read_bytes() for path in bench.worklist.folder.rglob("*") if path.is_file()
    )
    for secret in (b"Roe", b"MRN-0815", jpeg_bytes(lesion_image(1))[200:260]):
        assert secret not in kept


def test_an_answer_without_a_diagnosis_is_a_result_too(bench: Bench) -> None:
    bench.service.withheld = True
    bench.archive.put(dermoscopic(1))
    bench.work()
    assert bench.states() == {"done": 1}
    assert [str(each.SOPClassUID) for each in bench.archive.stored] == [SR]


def test_results_that_come_back_as_new_instances_are_not_answered(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rules=[Rule()])
    bench.archive.put(dermoscopic(1))
    for _ in range(3):
        bench.work()
        for result in bench.archive.stored:
            if str(result.SOPInstanceUID) not in bench.archive.instances:
                bench.archive.put(result)
    assert bench.states() == {"done": 1}
    assert len(bench.service.images) == 1


def test_results_are_not_answered_even_if_the_work_list_was_lost(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    first = Bench(tmp_path / "first", rules=[Rule()])
    first.archive.put(dermoscopic(1))
    first.work()
    second = Bench(tmp_path / "second", rules=[Rule()])
    for result in first.archive.stored:
        second.archive.put(result)
    second.work()
    assert second.states() == {}


def test_an_instance_that_is_sent_twice_is_answered_once(bench: Bench) -> None:
    image = dermoscopic(1)
    bench.archive.put(image)
    bench.archive.put(image)
    bench.work()
    bench.archive.put(image)
    bench.work()
    assert bench.states() == {"done": 1}
    assert len(bench.service.images) == 1
    assert len(bench.archive.stored) == 2


def test_another_model_answers_an_instance_that_is_sent_again(bench: Bench) -> None:
    image = dermoscopic(1)
    bench.archive.put(image)
    bench.work()
    bench.service.digest = "e" * 64
    bench.now += 6
    bench.archive.put(image)
    bench.work()
    assert bench.states() == {"done": 2}
    assert len(set(bench.report_uids())) == 4


def test_each_frame_is_answered_and_one_report_has_them_all(bench: Bench) -> None:
    bench.archive.put(multi_frame(3))
    bench.work()
    assert bench.states() == {"done": 1}
    assert len(bench.service.images) == 3
    assert [str(each.SOPClassUID) for each in bench.archive.stored] == [SR, *[CAPTURE] * 3]


def test_a_model_that_changes_between_two_frames_makes_no_mixed_report(bench: Bench) -> None:
    image = multi_frame(2)
    bench.archive.put(image)
    answer = bench.service.answer

    def changing(request: httpx.Request) -> httpx.Response:
        response = answer(request)
        if len(bench.service.images) == 1:
            bench.service.digest = "e" * 64
        return response

    bench.service.answer = changing  # type: ignore[method-assign]
    bench.work()
    assert bench.archive.stored == []
    bench.pass_time(10)
    assert bench.states() == {"done": 1}
    assert bench.entry.model_digest == "e" * 64


def test_a_crash_after_the_answer_asks_nobody_twice(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.archive.put(dermoscopic(1))

    def dies(request: httpx.Request) -> httpx.Response:
        del request
        raise KeyboardInterrupt

    bench.archive.on_store = dies
    with pytest.raises(KeyboardInterrupt):
        bench.work()
    bench.worklist.close()

    after = Bench(tmp_path)
    after.archive.instances, after.archive.feed = bench.archive.instances, bench.archive.feed
    after.work()
    assert after.states() == {"done": 1}
    assert after.service.images == []
    assert len(after.archive.stored) == 2


def test_a_crash_after_delivery_delivers_the_same_objects_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.archive.put(dermoscopic(1))

    def dies(entry: Entry, state: State, reason: str = "") -> None:
        del entry, state, reason
        raise KeyboardInterrupt

    bench.worklist.finish = dies  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        bench.work()
    first = [file_of(each) for each in bench.archive.stored]
    bench.worklist.close()

    after = Bench(tmp_path)
    after.archive.instances, after.archive.feed = bench.archive.instances, bench.archive.feed
    after.now += 3_600
    after.work()
    assert [file_of(each) for each in after.archive.stored] == first
    assert after.service.images == []


def test_an_answer_goes_to_the_fhir_server_as_well(fhir_bench: Bench) -> None:
    fhir_bench.archive.put(dermoscopic(1))
    fhir_bench.work()
    assert fhir_bench.states() == {"done": 1}
    (bundle,) = fhir_bench.fhir.bundles
    assert bundle["type"] == "transaction"
    kinds = {entry["resource"]["resourceType"] for entry in bundle["entry"]}
    assert {"DiagnosticReport", "Observation", "RiskAssessment", "Device"} <= kinds
    for entry in bundle["entry"]:
        request = entry["request"]
        assert "ifNoneExist" in request or "identifier=" in request["url"]


def test_text_burned_into_the_pixels_is_warned_of(bench: Bench) -> None:
    bench.archive.put(dermoscopic(1, BurnedInAnnotation="YES"))
    bench.work()
    assert bench.states() == {"done": 1}
    assert len(bench.events("text burned into the pixels")) == 1


def test_rules_hold_for_what_the_archive_gives_too(bench: Bench) -> None:
    # A source may have seen less of it than is in the file.
    image = dermoscopic(1, SOPClassUID="1.2.840.10008.5.1.4.1.1.2")
    bench.archive.put(image)
    add(bench, image)
    bench.finish_due()
    assert bench.states() == {"refused": 1}
    assert "No rule" in bench.entry.reason


def test_an_archive_that_sends_another_instance_is_not_believed(bench: Bench) -> None:
    asked, sent = dermoscopic(1), dermoscopic(2)
    bench.archive.put(asked, file_of(sent))
    add(bench, asked)
    bench.finish_due()
    assert bench.states() == {"refused": 1}
    assert bench.service.images == []


def test_limits_of_the_configuration_are_those_that_hold(tmp_path: Path) -> None:
    bench = Bench(tmp_path, limits=ImagesConfig(multi_frame="refuse"))
    bench.archive.put(multi_frame(2))
    bench.work()
    assert bench.states() == {"refused": 1}
