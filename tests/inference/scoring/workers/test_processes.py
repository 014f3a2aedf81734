"""Real processes with the model that ships: answers, ends, and what they say of a bad beginning."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from lentigo_inference.errors import WorkersError
from lentigo_inference.scoring.items import Content, Item, Task
from lentigo_inference.scoring.prepare import Prepared, prepare
from lentigo_inference.scoring.scorer import Scorer, load_scoring_model
from lentigo_inference.scoring.workers.base import Beginning, Lost, Scored
from lentigo_inference.scoring.workers.processes import ProcessWorkers
from lentigo_inference.settings import Settings
from tests.inference.scoring.scoring_parts import lesions

SHIPPED = Path(__file__).parents[4] / "models"


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(Settings(model_repository=SHIPPED, engine="litert"), timeout_s=30)


def task(number: int, images: int = 2) -> Task:
    files = lesions(images, first=number)
    items = tuple(
        Item(number + place, name, Content(data))
        for place, (name, data) in enumerate(files.items())
    )
    return Task(0, items)


@contextmanager
def processes(prepared: Prepared, count: int = 1) -> Iterator[ProcessWorkers]:
    workers = ProcessWorkers(count, Beginning(prepared.root, prepared.model, prepared.limits))
    try:
        yield workers
    finally:
        workers.close()


def outcomes(workers: ProcessWorkers, count: int) -> list[Scored | Lost]:
    found: list[Scored | Lost] = []
    while len(found) < count:
        found += workers.wait(60)
    return found


def test_processes_give_what_a_scorer_in_this_process_gives(prepared: Prepared) -> None:
    scorer = Scorer(load_scoring_model(SHIPPED, prepared.model), prepared.limits)
    tasks = [task(0), task(10), task(20, images=1)]
    with processes(prepared, 2) as workers:
        assert workers.room == 4
        for each in tasks:
            workers.submit(each)
        scored = outcomes(workers, 3)
        assert workers.room == 4
    rows = {each.task.items[0].number: each.rows for each in scored if isinstance(each, Scored)}
    assert rows == {each.items[0].number: scorer.score(each) for each in tasks}


def test_a_process_that_is_killed_loses_its_tasks_and_is_replaced(prepared: Prepared) -> None:
    with processes(prepared) as workers:
        (pid,) = workers.pids
        # Stopped, it cannot be faster than the signal that ends it.
        os.kill(pid, signal.SIGSTOP)
        workers.submit(task(0))
        workers.submit(task(10))
        os.kill(pid, signal.SIGKILL)
        lost = outcomes(workers, 2)
        assert all(isinstance(each, Lost) for each in lost)
        assert workers.pids != [pid]
        workers.submit(lost[0].task)
        (again,) = outcomes(workers, 1)
        assert isinstance(again, Scored)
        assert [row.error for row in again.rows] == [None, None]


def test_processes_end_with_the_one_that_started_them(prepared: Prepared) -> None:
    with processes(prepared) as workers:
        (pid,) = workers.pids
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_model_that_changed_since_is_one_line(prepared: Prepared) -> None:
    model = replace(prepared.model, manifest_sha256="0" * 64)
    with (
        pytest.raises(WorkersError, match="not the one that this run began with"),
        processes(replace(prepared, model=model)),
    ):
        pass


def test_a_process_that_cannot_start_is_one_line(prepared: Prepared) -> None:
    beginning = Beginning(prepared.root, prepared.model, prepared.limits)
    with pytest.raises(WorkersError, match="cannot be started"):
        ProcessWorkers(1, beginning, ["/nowhere/python"])
    with pytest.raises(WorkersError, match="did not start: exit code 3"):
        ProcessWorkers(1, beginning, ["sh", "-c", "exit 3"])
