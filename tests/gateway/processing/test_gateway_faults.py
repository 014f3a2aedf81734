"""A gateway that goes wrong itself: its work list loses nothing."""

import pytest
from pydicom import Dataset

from lentigo_gateway.errors import WorkListError
from tests.gateway.bench import ATTEMPTS, Bench
from tests.gateway.dicom import PATIENT_NAME, dermoscopic
from tests.gateway.processing.faults import assert_no_patient_in


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
    assert "RuntimeError at test_gateway_faults.py" in bench.entry.reason
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
