"""The run: hands tasks to workers, collects rows, writes each part once all its rows are there.

Nothing in it grows with the archive: as many tasks are under way as the workers take, and the
slowest task may be at most so many parts behind the newest.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from lentigo_inference.errors import SourceError
from lentigo_inference.scoring.items import Task
from lentigo_inference.scoring.planning import (
    PartFinished,
    PartListed,
    SourceEnded,
    Step,
    plan,
)
from lentigo_inference.scoring.results import PartRecord
from lentigo_inference.scoring.rows import Row, lost_row
from lentigo_inference.scoring.sources.found import Found
from lentigo_inference.scoring.workers.base import Lost, Outcome, Scored, Workers

# Parts that are open at the same time, at most.
_OPEN_PARTS: Final = 8

# A single image with which so many workers ended is given up. More than one, because a worker may
# end for another reason: its node was lost, or the machine had no memory left.
_MAX_LOSSES: Final = 3

_LOOK_EVERY_S: Final = 1.0


class Results(Protocol):
    """Where rows go."""

    @property
    def part_size(self) -> int:
        """Images of a part."""

    def part(self, number: int) -> PartRecord | None:
        """Return what is known of a part that is there."""

    def write_part(self, number: int, rows: list[Row], digest: str) -> None:
        """Write a part."""


class Watching(Protocol):
    """Is told how far the run is."""

    def advance(self, images: int, failed: int) -> None:
        """So many images were scored, of which so many without an answer."""

    def skip(self, images: int) -> None:
        """So many images were scored by an earlier run."""

    def look(self) -> None:
        """Time has passed."""


@dataclass(slots=True)
class _OpenPart:
    rows: list[Row] = field(default_factory=list)
    listed: PartListed | None = None

    @property
    def complete(self) -> bool:
        return self.listed is not None and self.listed.rows == len(self.rows)


class Run:
    """One run over a source."""

    def __init__(
        self,
        results: Results,
        watching: Watching,
        stopped: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare.

        Args:
            results: get the rows.
            watching: is told how far it is.
            stopped: raises once the run should end.
        """
        self._results = results
        self._watching = watching
        self._stopped = stopped
        self._open: dict[int, _OpenPart] = {}
        self._retries: deque[Task] = deque()
        self._under_way = 0
        self._ended: SourceError | None = None

    def score(self, images: Iterable[Found], start: Callable[[], Workers]) -> None:
        """Score what is not finished yet.

        Args:
            images: of the source.
            start: starts the workers; not called if everything is finished.

        Raises:
            SourceError: the source cannot be read to its end; what it gave is scored and written.
            ScoringError: something else that ends the run; parts that are complete are written.
        """
        steps = plan(images, self._results.part_size, self._results.part)
        first = self._next_task(steps)
        if first is not None:
            self._retries.append(first)
            workers = start()
            try:
                self._work(steps, workers)
            finally:
                workers.close()
        if self._ended is not None:
            raise self._ended

    def _work(self, steps: Iterator[Step], workers: Workers) -> None:
        exhausted = False
        while True:
            self._stopped()
            while workers.room > 0 and not exhausted:
                task = self._retries.popleft() if self._retries else None
                if task is None and len(self._open) < _OPEN_PARTS:
                    task = self._next_task(steps)
                    exhausted = task is None
                if task is None:
                    break
                workers.submit(task)
                self._under_way += 1
            while workers.room > 0 and self._retries:
                workers.submit(self._retries.popleft())
                self._under_way += 1
            if exhausted and not self._under_way and not self._retries:
                return
            for outcome in workers.wait(_LOOK_EVERY_S):
                self._settle(outcome)
            self._watching.look()

    def _next_task(self, steps: Iterator[Step]) -> Task | None:
        """Return the next task; None if there is none any more."""
        for step in steps:
            match step:
                case Task():
                    self._open.setdefault(step.part, _OpenPart())
                    return step
                case PartListed():
                    self._open[step.part].listed = step
                    self._write_if_complete(step.part)
                case PartFinished():
                    self._watching.skip(step.rows)
                case SourceEnded():
                    self._ended = step.error
            self._stopped()
        return None

    def _settle(self, outcome: Outcome) -> None:
        self._under_way -= 1
        match outcome:
            case Scored():
                self._take(outcome.task.part, outcome.rows)
            case Lost():
                self._retry(outcome.task)

    def _retry(self, task: Task) -> None:
        """Score the images of a lost task one by one: one of them may be what ends workers."""
        if len(task.items) == 1 and task.losses + 1 >= _MAX_LOSSES:
            self._take(task.part, [lost_row(task.items[0])])
        elif len(task.items) == 1:
            self._retries.append(replace(task, losses=task.losses + 1))
        elif task.losses:
            self._retries.extend(Task(task.part, (item,)) for item in task.items)
        else:
            self._retries.append(replace(task, losses=1))

    def _take(self, part: int, rows: list[Row]) -> None:
        self._open[part].rows += rows
        self._watching.advance(len(rows), sum(row.error is not None for row in rows))
        self._write_if_complete(part)

    def _write_if_complete(self, number: int) -> None:
        part = self._open[number]
        if part.complete and part.listed is not None:
            self._results.write_part(number, part.rows, part.listed.digest)
            del self._open[number]
