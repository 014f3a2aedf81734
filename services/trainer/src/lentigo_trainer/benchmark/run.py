"""A benchmark from the top: every architecture in turn, and a report after each of them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from lentigo_contract.labels import CODES
from lentigo_trainer import __version__
from lentigo_trainer.benchmark.isolation import NotMeasured, Outcome
from lentigo_trainer.benchmark.job import Job, finished, finished_by_any_recipe
from lentigo_trainer.benchmark.records import PAPER, Benchmark, BenchmarkResult, Entry
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.training import TrainingConfig, WorkFolder
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.splits import split
from lentigo_trainer.models.registry import ARCHITECTURES, Architecture, Weights
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import locked


@dataclass(frozen=True, slots=True)
class BenchmarkConfig:
    """What to compare, and how.

    Attributes:
        work: where finished steps are kept.
        weights: where the frozen parts' values come from.
        recipes: of every architecture of the registry, by name.
        chosen: the architectures to train now; others are reported if an earlier sitting on the
            same rows has measured them.
        seed: of the plan and of training.
        limit: about how many images to use in all; None for all of them.
        cores: how many to use.
    """

    work: WorkFolder
    weights: Weights
    recipes: dict[str, Recipe]
    chosen: tuple[str, ...]
    seed: int
    limit: int | None
    cores: int

    def training(self, name: str) -> TrainingConfig:
        """Return the configuration of one architecture."""
        return TrainingConfig(
            work=self.work,
            recipe=self.recipes[name],
            weights=self.weights,
            seed=self.seed,
            limit=self.limit,
            cores=self.cores,
        )


def compare(
    config: BenchmarkConfig,
    prepared: Prepared,
    measure: Callable[[Job], Outcome],
    write: Callable[[Benchmark], None],
    now: Callable[[], datetime],
    progress: Progress,
    reported: Benchmark | None = None,
) -> Benchmark:
    """Measure the chosen architectures; one that fails is reported, and the next gets its turn.

    Args:
        config: what to compare.
        prepared: the data.
        measure: does one job, and keeps what it finished.
        write: writes a report; called after every architecture.
        now: gives the time, UTC.
        progress: told which architecture has its turn.
        reported: the report that is to be added to. What it holds of the same rows stays, even if
            it was measured on another machine and is not in this work folder.

    Raises:
        WorkFolderError: another benchmark, or another run of a chosen architecture, is using the
            work folder.
        StorageError: the report cannot be written.
    """
    with locked(config.work.root / "benchmark"):
        jobs = {name: Job(config.training(name), prepared.digest) for name in ARCHITECTURES}
        for name in config.chosen:
            # Better now than after the hours that those before it take.
            with locked(jobs[name].folder):
                pass
        kept = {} if reported is None else _same_rows(reported, config, prepared)
        outcomes = {name: _earlier(name, job, config, kept) for name, job in jobs.items()}
        for place, name in enumerate(config.chosen, start=1):
            title = f"{ARCHITECTURES[name].title} ({place} of {len(config.chosen)})"
            found = finished(jobs[name])
            if found is not None:
                progress.say(f"{title}: measured before")
            else:
                progress.say(f"{title}: {config.recipes[name].epochs} epochs")
            outcome = found or measure(jobs[name])
            if isinstance(outcome, NotMeasured):
                progress.say(f"{title}: not measured. {outcome.reason}")
            outcomes[name] = outcome
            write(_record(config, prepared, outcomes, now()))
        return _record(config, prepared, outcomes, now())


def _earlier(
    name: str, job: Job, config: BenchmarkConfig, reported: dict[str, BenchmarkResult]
) -> Outcome:
    if name in config.chosen:
        return NotMeasured("its turn had not come when this was written", failed=False)
    left_out = NotMeasured("left out of this benchmark", failed=False)
    return finished_by_any_recipe(job) or reported.get(name) or left_out


def _same_rows(
    reported: Benchmark, config: BenchmarkConfig, prepared: Prepared
) -> dict[str, BenchmarkResult]:
    expected = (prepared.digest, config.seed, config.limit, __version__)
    if (reported.dataset, reported.seed, reported.limit, reported.code_version) != expected:
        return {}
    return {entry.name: entry.measured for entry in reported.entries if entry.measured is not None}


def _record(
    config: BenchmarkConfig, prepared: Prepared, outcomes: dict[str, Outcome], now: datetime
) -> Benchmark:
    held_back = np.bincount(
        prepared.labels[split(prepared.records).validation], minlength=len(CODES)
    )
    return Benchmark(
        created=now,
        code_version=__version__,
        dataset=prepared.digest,
        images=len(prepared.records),
        validation={code: int(n) for code, n in zip(CODES, held_back, strict=True)},
        limit=config.limit,
        seed=config.seed,
        paper=PAPER,
        entries=tuple(
            _entry(ARCHITECTURES[name], outcome, config) for name, outcome in outcomes.items()
        ),
    )


def _entry(entry: Architecture, outcome: Outcome, config: BenchmarkConfig) -> Entry:
    measured = reason = None
    failed = False
    if isinstance(outcome, NotMeasured):
        reason = _without_paths(outcome.reason, config).rstrip(".")
        failed = outcome.failed
    else:
        measured = outcome
    return Entry(
        name=entry.name,
        title=entry.title,
        recipe_epochs=entry.epochs,
        measured=measured,
        reason=reason,
        failed=failed,
    )


def _without_paths(reason: str, config: BenchmarkConfig) -> str:
    """Leave this machine's folders out of a report that others will read."""
    folders = {config.work.root: "the work folder"}
    if isinstance(config.weights, Path):
        folders[config.weights] = "the folder of weights"
    for folder, words in folders.items():
        reason = reason.replace(str(folder.absolute()), words)
        # A relative path may be a word that stands in a sentence too, such as "work".
        reason = re.sub(rf"(?<![\w./-]){re.escape(str(folder))}(?=/)", words, reason)
    return reason
