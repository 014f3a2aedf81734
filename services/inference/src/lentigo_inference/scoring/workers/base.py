"""What the processes of this machine and the actors of a cluster have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from lentigo_inference.scoring.items import Task
from lentigo_inference.scoring.rows import Row
from lentigo_inference.scoring.scorer import ScoringLimits, ScoringModel

TASKS_A_WORKER: Final = 2
"""One that is computed, and one whose images are being fetched meanwhile."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a worker begins with.

    Attributes:
        root: of the model repository.
        model: which model scores.
        limits: of an image.
    """

    root: Path
    model: ScoringModel
    limits: ScoringLimits


@dataclass(frozen=True, slots=True)
class Scored:
    """A task that was scored.

    Attributes:
        task: the task.
        rows: of its images.
    """

    task: Task
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Lost:
    """A task whose worker ended before it was scored.

    Attributes:
        task: the task.
    """

    task: Task


Outcome = Scored | Lost


class Workers(Protocol):
    """Scores tasks, in any order. One thread uses it."""

    @property
    def room(self) -> int:
        """How many tasks it takes now without waiting."""

    @property
    def size(self) -> int:
        """How many workers there are."""

    def submit(self, task: Task) -> None:
        """Hand over a task; there must be room."""

    def wait(self, timeout_s: float) -> Sequence[Outcome]:
        """Wait until something has happened to a task, but no longer than that.

        Raises:
            WorkersError, ClusterError: no worker can be had any more.
        """

    def close(self) -> None:
        """End the workers; what they work on is dropped."""
