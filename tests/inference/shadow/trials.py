"""A trial whose version answers, fails or waits as the test says."""

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lentigo_inference.audit.records import ModelInUse, Said, Served
from lentigo_inference.errors import ShadowError
from lentigo_inference.shadow.process import Offer
from lentigo_inference.shadow.trial import ShadowTrial, Surroundings

DEADLINE_S = 240.0

MODEL = ModelInUse("lentigo", 2, "f" * 64, "litert", {"decided_by": "balanced"})
SAID = Said("mel", {"nv": 0.25, "mel": 0.75}, 0.75, 0.2, True, ("malignancy",), ())
EAGER = (sys.executable, "-c", "from lentigo_inference.shadow.worker import main; main()")
"""The command of a shadow version that does not yield, so that no test needs a quiet machine."""

HANGING = (
    sys.executable,
    "-c",
    (
        "import threading; from lentigo_inference.shadow import worker;"
        "worker.said_of = lambda *_image, **_options: threading.Event().wait();"
        "worker.main()"
    ),
)
"""The command of a shadow version that loads and then answers nothing."""

PIXELS = np.zeros((224, 224, 3), np.uint8)


def offer(answer: str = "a-1", version: int = 1, diagnosis: str | None = "nv") -> Offer:
    served = Served(answer, "a" * 64, version, diagnosis, refer=False)
    return Offer(served, PIXELS, (), force=False)


@dataclass
class FakeProcess:
    """Answers at once, unless it is told to fail, or held."""

    loading: Exception | None = None
    answering: Exception | None = None
    ended: ShadowError | None = None
    held: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)
    killed: threading.Event = field(default_factory=threading.Event)
    closed: bool = False
    answered: list[str] = field(default_factory=list)
    states: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.held.set()

    def load(self) -> ModelInUse:
        if self.loading is not None:
            raise self.loading
        return MODEL

    def answer(self, offered: Offer) -> Said:
        self.reached.set()
        while not self.held.wait(0.01):
            if self.killed.is_set():
                raise ShadowError("killed")
        if self.answering is not None:
            raise self.answering
        self.answered.append(offered.served.answer)
        return replace(SAID)

    def require_running(self) -> None:
        if self.ended is not None:
            raise self.ended

    def hold(self) -> None:
        self.states.append("held")

    def release(self) -> None:
        self.states.append("released")

    def kill(self) -> None:
        self.killed.set()

    def close(self) -> None:
        self.killed.set()
        self.closed = True


@dataclass
class Stage:
    """A trial of version 2 beside version 1, and what the test may change around it."""

    processes: list[FakeProcess] = field(default_factory=list)
    starts: int = 0
    starting: Exception | None = None
    in_use: int | None = 1
    busy: bool = False
    folder: object = "as published"
    now: float = 0.0
    records: list[Mapping[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.trial = ShadowTrial(
            2,
            self._start,
            Surroundings(lambda: self.in_use, lambda: self.busy, lambda: self.folder, self._record),
            interval_s=0.01,
            clock=lambda: self.now,
        )

    def _start(self) -> FakeProcess:
        self.starts += 1
        if self.starting is not None:
            raise self.starting
        # The last one is started again and again.
        return self.processes.pop(0) if len(self.processes) > 1 else self.processes[0]

    def _record(self, records: Sequence[Mapping[str, Any]]) -> None:
        self.records += records

    def count(self, name: str, **labels: str) -> float:
        """Give a metric as it would be scraped."""
        for family in self.trial.counts.collect():
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        raise AssertionError(f"no {name} with {labels}")

    def images(self, outcome: str) -> float:
        return self.count("lentigo_shadow_images_total", outcome=outcome)

    @property
    def version(self) -> float:
        return self.count("lentigo_shadow_version")

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something that no event tells of."""
        deadline, pause = time.monotonic() + DEADLINE_S, threading.Event()
        while not holds():
            assert time.monotonic() < deadline
            pause.wait(0.002)

    def loaded(self) -> None:
        self.until(lambda: self.version == 2)
