import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lentigo_gateway.answers import Answer
from lentigo_gateway.errors import UnknownEntryError, WorkListError, WorkListInUseError
from lentigo_gateway.worklist.database import _FIRST
from lentigo_gateway.worklist.entries import Entry, Found, State
from lentigo_gateway.worklist.store import WorkList
from tests.gateway.servers import DIGEST, FakeService, prediction

OTHER = "e" * 64


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def worklist(tmp_path: Path, clock: Clock) -> Iterator[WorkList]:
    made = WorkList(tmp_path / "list", clock)
    yield made
    made.close()


def found(number: int = 1) -> Found:
    return Found(f"1.2.3.{number}", "1.2.2", "1.2.1", f"orthanc:{number}")


def answer(digest: str = DIGEST) -> Answer:
    said = prediction(1, FakeService(digest=digest).model())
    return Answer(said, said["model"], datetime(2026, 11, 30, 10, tzinfo=UTC), None)


def claimed(worklist: WorkList) -> Entry:
    entry = worklist.claim()
    assert entry is not None
    worklist.release(entry)
    return entry


def answered(worklist: WorkList, digest: str = DIGEST) -> Entry:
    entry = worklist.answer(claimed(worklist), digest, [answer(digest)], ["2.25.1"])
    assert entry is not None
    return entry


def test_an_instance_is_on_the_list_once(worklist: WorkList) -> None:
    assert worklist.add([found(1), found(2)]) == 2
    assert worklist.add([found(1)]) == 0
    assert worklist.counts() == {"waiting": 2}


def test_everything_is_there_after_a_restart(worklist: WorkList, clock: Clock) -> None:
    worklist.add([found()], ("orthanc", 7))
    before = answered(worklist)
    worklist.close()
    after = WorkList(worklist.folder, clock)
    assert after.get(before.id) == before
    assert after.position("orthanc") == 7
    assert after.is_result("2.25.1")
    assert after.get(before.id).answers == (answer(),)
    after.close()


def test_an_answer_is_kept_with_its_time_and_frame(worklist: WorkList) -> None:
    worklist.add([found()])
    (kept,) = answered(worklist).answers
    assert kept == answer()
    assert kept.model["digest"] == DIGEST


def test_one_worker_at_a_time_has_an_entry(worklist: WorkList) -> None:
    worklist.add([found(1), found(2)])
    first, second = worklist.claim(), worklist.claim()
    assert first is not None
    assert second is not None
    assert first.id != second.id
    assert worklist.claim() is None
    worklist.release(first)
    assert worklist.claim() == first


def test_an_entry_is_not_claimed_before_it_is_due(worklist: WorkList, clock: Clock) -> None:
    worklist.add([found()])
    worklist.postpone(claimed(worklist), 30, "busy", failed=False)
    clock.now += 29.9
    assert worklist.claim() is None
    clock.now += 0.1
    again = claimed(worklist)
    assert (again.reason, again.failures) == ("busy", 0)


def test_a_result_of_ours_never_gets_on_the_list(worklist: WorkList) -> None:
    worklist.add([found()])
    answered(worklist)
    assert worklist.add([Found("2.25.1", "1.2.2", "1.2.1", "dicomweb")]) == 0


def test_an_instance_that_comes_again_waits_only_for_another_model(worklist: WorkList) -> None:
    worklist.add([found()])
    worklist.finish(answered(worklist), "done")
    assert worklist.add([found()]) == 1
    again = claimed(worklist)
    assert worklist.is_answered(again, DIGEST)
    assert not worklist.is_answered(again, OTHER)


def test_a_second_answer_of_the_same_model_is_not_kept(worklist: WorkList) -> None:
    worklist.add([found()])
    worklist.finish(answered(worklist), "done")
    worklist.add([found()])
    assert worklist.answer(claimed(worklist), DIGEST, [answer()], []) is None
    assert worklist.counts() == {"done": 1}


def test_a_source_that_sees_the_same_again_adds_nothing(worklist: WorkList) -> None:
    worklist.add([found()], ("query", 1))
    worklist.finish(answered(worklist), "done")
    assert worklist.add([found()], again=False) == 0
    worklist.add([found(2)])
    worklist.finish(claimed(worklist), "refused", "no pixels")
    assert worklist.add([found(2)], again=False) == 0


@pytest.mark.parametrize("again", [True, False])
def test_what_was_gone_and_is_back_is_worked_on(worklist: WorkList, again: bool) -> None:
    worklist.add([found()])
    worklist.finish(answered(worklist), "gone")
    assert worklist.add([found()], again=again) == 1
    entry = claimed(worklist)
    assert (entry.state, entry.model_digest, entry.answers) == ("waiting", "", ())


@pytest.mark.parametrize("state", ["done", "refused", "gone"])
def test_no_answer_is_kept_of_what_is_finished(worklist: WorkList, state: State) -> None:
    worklist.add([found()])
    entry = answered(worklist)
    worklist.finish(entry, state)
    assert worklist.get(entry.id).answers == ()


def test_a_parked_entry_keeps_its_answers_and_is_delivered_when_retried(
    worklist: WorkList,
) -> None:
    worklist.add([found()])
    entry = answered(worklist)
    worklist.finish(entry, "parked", "refused")
    assert worklist.claim() is None
    retried = worklist.retry(entry.id)
    assert (retried.state, retried.failures, retried.reason) == ("answered", 0, "")
    assert retried.answers == entry.answers


def test_retrying_what_has_no_answer_asks_again(worklist: WorkList) -> None:
    worklist.add([found()])
    worklist.finish(claimed(worklist), "refused", "no pixels")
    assert worklist.retry(1).state == "waiting"


def test_there_is_nothing_to_retry_of_what_is_open(worklist: WorkList) -> None:
    worklist.add([found()])
    with pytest.raises(UnknownEntryError, match="is waiting"):
        worklist.retry(1)
    with pytest.raises(UnknownEntryError, match="no entry 2"):
        worklist.retry(2)


def test_old_entries_are_forgotten_and_parked_ones_are_not(
    worklist: WorkList, clock: Clock
) -> None:
    worklist.add([found(1), found(2), found(3)])
    states: tuple[State, ...] = ("done", "parked", "refused")
    for state in states:
        entry = worklist.claim()
        assert entry is not None
        worklist.finish(entry, state)
    clock.now += 100
    assert worklist.forget(101) == 0
    assert worklist.forget(99) == 2
    assert worklist.counts() == {"parked": 1}


def test_a_full_disk_is_an_error_that_says_so(worklist: WorkList) -> None:
    database = worklist._database._connection
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(WorkListError, match="full"):
        worklist.add([found(number) for number in range(10_000)], ("orthanc", 1))
    assert worklist.counts() == {}
    assert worklist.position("orthanc") is None


def test_two_gateways_cannot_share_a_list(worklist: WorkList, clock: Clock) -> None:
    with worklist.locked():
        other = WorkList(worklist.folder, clock)
        with pytest.raises(WorkListInUseError), other.locked():
            pass
        other.close()
    with worklist.locked():
        pass


def test_a_list_of_a_later_release_is_not_touched(worklist: WorkList, clock: Clock) -> None:
    worklist._database._connection.execute("PRAGMA user_version = 99")
    worklist.close()
    with pytest.raises(WorkListError, match="later release"):
        WorkList(worklist.folder, clock)


def test_what_is_no_database_is_an_error(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "worklist.sqlite3").write_bytes(b"no database at all" * 100)
    with pytest.raises(WorkListError, match="cannot be opened"):
        WorkList(tmp_path, clock)


def test_the_list_is_for_its_owner_alone(worklist: WorkList) -> None:
    assert worklist.folder.stat().st_mode & 0o777 == 0o700


def test_the_list_has_no_column_for_a_patient(worklist: WorkList) -> None:
    database: sqlite3.Connection = worklist._database._connection
    columns = {row["name"] for row in database.execute("PRAGMA table_info(entries)")}
    assert not [name for name in columns if "patient" in name or "name" in name]


def test_a_work_list_of_the_first_form_is_brought_to_the_new_one(tmp_path: Path) -> None:
    folder = tmp_path / "worklist"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "worklist.sqlite3")) as connection:
        for statement in _FIRST:
            connection.execute(statement)
        connection.execute(
            "INSERT INTO entries (sop_instance_uid, series_instance_uid, study_instance_uid, "
            "locator, state, due, found_at, changed_at) "
            "VALUES ('1.2.3', '1.2', '1', 'dicomweb', 'waiting', 0, 0, 0)"
        )
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
    opened = WorkList(folder, lambda: 1_000.0)
    try:
        assert opened.counts() == {"waiting": 1}
        opened.answer(claimed(opened), DIGEST, [answer()], ["2.25.1"])
        (given,) = opened.confirmations.answers_of("1.2.3", 0)
        assert given.key == f"1.2.3/{DIGEST}"
        assert opened.confirmations.frames_of(["2.25.1"]) == [("1.2.3", 0)]
    finally:
        opened.close()


def test_the_ids_of_answers_are_forgotten_with_their_entries(tmp_path: Path) -> None:
    now = [1_000.0]
    worklist = WorkList(tmp_path / "worklist", lambda: now[0])
    try:
        worklist.add([Found("1.2.3", "1.2", "1", "dicomweb")])
        entry = worklist.answer(claimed(worklist), DIGEST, [answer()], ["2.25.1"])
        assert entry is not None
        worklist.finish(entry, "done")
        now[0] += 100
        worklist.forget(50)
        assert worklist.confirmations.answers_of("1.2.3", 0) == []
    finally:
        worklist.close()
