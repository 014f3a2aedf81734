"""The trial of a version: what is compared, and what goes wrong without anybody waiting for it."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from lentigo_contract.errors import EngineError
from lentigo_inference.errors import ShadowError, VersionRefusedError
from tests.inference.shadow.trials import DEADLINE_S, MODEL, FakeProcess, Stage, offer


@pytest.fixture
def process() -> FakeProcess:
    return FakeProcess()


@pytest.fixture
def stage(process: FakeProcess) -> Iterator[Stage]:
    stage = Stage([process])
    yield stage
    process.held.set()
    if stage.trial._thread.ident is not None:
        assert stage.trial.close(DEADLINE_S)


def begin(stage: Stage) -> None:
    stage.trial.begin()
    stage.loaded()


def test_an_image_is_compared_counted_and_put_on_record(stage: Stage) -> None:
    begin(stage)
    stage.trial.offer(offer("a-1", diagnosis="nv"))
    stage.until(lambda: stage.images("compared") == 1)
    stage.until(lambda: bool(stage.records))
    (record,) = stage.records
    assert record == {
        "kind": "shadow",
        "answer": "a-1",
        "image_sha256": "a" * 64,
        "served": {"version": 1, "diagnosis": "nv", "refer": False},
        "diagnosis": "mel",
        "probabilities": {"nv": 0.25, "mel": 0.75},
        "malignancy": 0.75,
        "threshold": 0.2,
        "refer": True,
        "reasons": ["malignancy"],
        "quality": [],
        "model": "lentigo",
        "version": 2,
        "manifest_sha256": MODEL.manifest_sha256,
        "engine": "litert",
        "settings": {"decided_by": "balanced", "force": False},
    }
    for difference in ("diagnosis", "refer"):
        differences = "lentigo_shadow_differences_total"
        assert stage.count(differences, difference=difference, diagnosis="nv") == 1
        assert stage.count(differences, difference=difference, diagnosis="mel") == 0
    assert stage.count("lentigo_shadow_compared_total", diagnosis="nv") == 1


def test_a_withheld_answer_counts_as_none(stage: Stage) -> None:
    begin(stage)
    stage.trial.offer(offer(diagnosis=None))
    stage.until(lambda: stage.images("compared") == 1)
    assert stage.count("lentigo_shadow_compared_total", diagnosis="none") == 1


def test_images_are_dropped_and_counted_when_the_queue_is_full(
    stage: Stage, process: FakeProcess
) -> None:
    begin(stage)
    process.held.clear()
    stage.trial.offer(offer("first"))
    assert process.reached.wait(DEADLINE_S)
    for number in range(100):
        stage.trial.offer(offer(str(number)))
    assert stage.images("dropped") == 100 - 64
    process.held.set()
    stage.until(lambda: stage.images("compared") == 65)
    assert process.answered == ["first", *map(str, range(64))]


def test_images_are_dropped_while_the_service_is_busy(stage: Stage) -> None:
    begin(stage)
    stage.busy = True
    stage.trial.offer(offer())
    assert stage.images("dropped") == 1


def test_the_version_stands_still_while_the_service_computes(
    stage: Stage, process: FakeProcess
) -> None:
    stage.trial.make_way(begins=True)
    begin(stage)
    stage.trial.make_way(begins=True)
    stage.trial.make_way(begins=False)
    assert process.states == ["held", "released"]


def test_images_are_dropped_until_the_version_is_loaded(stage: Stage) -> None:
    stage.trial.offer(offer())
    assert stage.images("dropped") == 1


def test_a_version_that_is_refused_is_one_line_and_tried_again_when_its_folder_changes(
    process: FakeProcess,
) -> None:
    refused = FakeProcess(loading=VersionRefusedError("it is damaged"))
    stage = Stage([refused, process])
    with capture_logs() as lines:
        stage.trial.begin()
        stage.until(lambda: refused.closed)
        stage.trial.offer(offer())
        stage.until(lambda: stage.images("dropped") == 1)
        assert stage.starts == 1
        stage.folder = "published again"
        stage.loaded()
    assert stage.trial.close(DEADLINE_S)
    assert [line["event"] for line in lines] == [
        "shadow version not loaded",
        "shadow version loaded",
    ]
    assert lines[0]["reason"] == "it is damaged"
    assert stage.starts == 2


def test_a_process_that_cannot_be_started_is_one_line(stage: Stage) -> None:
    stage.starting = OSError("no more processes")
    with capture_logs() as lines:
        stage.trial.begin()
        stage.until(lambda: bool(lines))
        stage.now = 30.0
    assert lines[0]["event"] == "shadow version not loaded"
    stage.starting, stage.now = None, 61.0
    stage.loaded()


def test_a_crash_while_answering_is_one_line_and_a_pause(process: FakeProcess) -> None:
    crashing = FakeProcess(answering=ShadowError("ended by signal 11"))
    stage = Stage([crashing, process])
    with capture_logs() as lines:
        begin(stage)
        stage.trial.offer(offer("lost"))
        stage.until(lambda: crashing.closed)
        stage.until(lambda: stage.images("failed") == 1)
        assert stage.version == 0
        stage.trial.offer(offer("dropped"))
        stage.now = 61.0
        stage.loaded()
    assert [line["event"] for line in lines] == [
        "shadow version loaded",
        "shadow version failed",
        "shadow version loaded",
    ]
    stage.trial.offer(offer("compared"))
    stage.until(lambda: stage.images("compared") == 1)
    assert stage.images("dropped") == 1
    assert stage.trial.close(DEADLINE_S)


def test_a_crash_while_idle_is_noticed(stage: Stage, process: FakeProcess) -> None:
    with capture_logs() as lines:
        begin(stage)
        process.ended = ShadowError("ended by signal 9")
        stage.until(lambda: process.closed)
        stage.until(lambda: lines[-1]["event"] == "shadow version failed")
    assert lines[-1]["reason"] == "ended by signal 9"


def test_an_image_without_an_answer_is_counted_and_the_next_is_answered(
    stage: Stage, process: FakeProcess
) -> None:
    begin(stage)
    with capture_logs() as lines:
        process.answering = EngineError("not finite")
        stage.trial.offer(offer())
        stage.trial.offer(offer())
        stage.until(lambda: stage.images("failed") == 2)
        process.answering = None
        stage.trial.offer(offer())
        stage.until(lambda: stage.images("compared") == 1)
    assert [line["event"] for line in lines] == ["shadow version gave no answer"]


def test_whatever_fails_the_thread_goes_on(stage: Stage, process: FakeProcess) -> None:
    begin(stage)
    process.answering = ValueError("unforeseen")
    stage.trial.offer(offer())
    stage.until(lambda: stage.version == 0)
    process.answering, stage.now = None, 61.0
    stage.loaded()


def test_a_version_that_comes_into_use_is_ended_and_comes_back_if_another_does(
    stage: Stage, process: FakeProcess
) -> None:
    begin(stage)
    stage.in_use = 2
    stage.until(lambda: process.closed)
    stage.trial.offer(offer(version=2))
    assert stage.images("dropped") == 0
    assert stage.version == 0
    stage.in_use = 1
    stage.loaded()


def test_closing_ends_a_version_that_does_not_answer(stage: Stage, process: FakeProcess) -> None:
    begin(stage)
    process.held.clear()
    stage.trial.offer(offer())
    assert process.reached.wait(DEADLINE_S)
    with capture_logs() as lines:
        assert stage.trial.close(DEADLINE_S)
    assert process.closed
    assert lines == []
