"""Run a benchmark: train every architecture in turn, and write a report after each."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from lentigo_contract.labels import CODES
from lentigo_contract.manifest.manifest import Parameters
from lentigo_trainer import __version__
from lentigo_trainer.benchmark.isolation import NotMeasured, Outcome
from lentigo_trainer.benchmark.job import Job, read_result, read_result_of_any_recipe
from lentigo_trainer.benchmark.records import PAPER, Benchmark, BenchmarkResult, Entry
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.training import TrainingConfig, WorkFolder
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.splits import split
from lentigo_trainer.models.architecture import Architecture, Weights
from lentigo_trainer.models.registry import ARCHITECTURES
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import locked

RunJobs = Callable[[Sequence[Job]], Iterator[tuple[Job, Outcome]]]
"""Runs jobs; yields each with its outcome when it has ended."""


@dataclass(frozen=True, slots=True)
class BenchmarkConfig:
    """What to compare, and how.

    Attributes:
        work: folder for finished steps.
        weights: origin of the values of the frozen layers.
        recipes: the recipe of every architecture of the registry, by name.
        chosen: the architectures to train now; others are reported if an earlier run on the same
            rows has measured them.
        seed: of oversampling and training.
        limit: about how many images to use in total; None for all of them.
        cores: number of cores to use.
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
    run_jobs: RunJobs,
    write: Callable[[Benchmark], None],
    now: Callable[[], datetime],
    progress: Progress,
    reported: Benchmark | None = None,
) -> Benchmark:
    """Run the chosen architectures; one that fails is reported, and the next one runs.

    Args:
        config: what to compare.
        prepared: the data.
        run_jobs: runs jobs, here or on a cluster, and keeps their results.
        write: writes a report; called after every architecture.
        now: returns the time, UTC.
        progress: receives the name of each architecture.
        reported: the report to add to. Its results on the same images stay, even if they come from
            another machine or an earlier version, and are not in this work folder.

    Raises:
        WorkFolderError: another benchmark, or another run of a chosen architecture, is using the
            work folder.
        StorageError: the report cannot be written.
    """
    with locked(config.work.root / "benchmark"):
        jobs = {name: Job(config.training(name), prepared.digest) for name in ARCHITECTURES}
        for name in config.chosen:
            # Fail now, not after the hours that the architectures before it take.
            with locked(jobs[name].folder):
                pass
        kept = {} if reported is None else _same_images(reported, config, prepared)
        outcomes = {name: _earlier(name, job, config, kept) for name, job in jobs.items()}
        pending = []
        for name in config.chosen:
            result = read_result(jobs[name])
            if result is None:
                pending.append(jobs[name])
                continue
            progress.say(f"{ARCHITECTURES[name].title}: measured before")
            outcomes[name] = result
            write(_record(config, prepared, outcomes, now()))
        for number, (job, outcome) in enumerate(run_jobs(pending), start=1):
            name = job.config.recipe.architecture
            title = f"{ARCHITECTURES[name].title} ({number} of {len(pending)})"
            if isinstance(outcome, NotMeasured):
                progress.say(f"{title}: not measured. {outcome.reason}")
            else:
                progress.say(f"{title}: measured")
            outcomes[name] = outcome
            write(_record(config, prepared, outcomes, now()))
        return _record(config, prepared, outcomes, now())


def _earlier(
    name: str, job: Job, config: BenchmarkConfig, reported: dict[str, BenchmarkResult]
) -> Outcome:
    if name in config.chosen:
        return NotMeasured("its turn had not come when this was written", failed=False)
    left_out = NotMeasured("left out of this benchmark", failed=False)
    return read_result_of_any_recipe(job) or reported.get(name) or left_out


def _same_images(
    reported: Benchmark, config: BenchmarkConfig, prepared: Prepared
) -> dict[str, BenchmarkResult]:
    expected = (prepared.digest, config.seed, config.limit)
    if (reported.dataset, reported.seed, reported.limit) != expected:
        return {}
    return {
        entry.name: entry.measured.model_copy(
            update={"code_version": entry.measured.code_version or reported.code_version}
        )
        for entry in reported.entries
        if entry.measured is not None
    }


def _record(
    config: BenchmarkConfig, prepared: Prepared, outcomes: dict[str, Outcome], now: datetime
) -> Benchmark:
    validation = np.bincount(
        prepared.labels[split(prepared.records).validation], minlength=len(CODES)
    )
    return Benchmark(
        created=now,
        code_version=__version__,
        dataset=prepared.digest,
        images=len(prepared.records),
        validation={code: int(n) for code, n in zip(CODES, validation, strict=True)},
        limit=config.limit,
        seed=config.seed,
        paper=PAPER,
        entries=tuple(
            _entry(ARCHITECTURES[name], outcome, config) for name, outcome in outcomes.items()
        ),
    )


def _entry(entry: Architecture, outcome: Outcome, config: BenchmarkConfig) -> Entry:
    result = reason = None
    failed = False
    if isinstance(outcome, NotMeasured):
        reason = _without_paths(outcome.reason, config).rstrip(".")
        failed = outcome.failed
    else:
        result = outcome
    return Entry(
        name=entry.name,
        title=entry.title,
        recipe_epochs=entry.epochs,
        measured=result,
        reason=reason,
        failed=failed,
        parameters=_parameters(entry),
    )


def _parameters(entry: Architecture) -> Parameters | None:
    return None if entry.totals is None else Parameters(**asdict(entry.totals))


def _without_paths(reason: str, config: BenchmarkConfig) -> str:
    """Remove the folders of this machine from a report that others will read."""
    folders = {config.work.root: "the work folder"}
    if isinstance(config.weights, Path):
        folders[config.weights] = "the folder of weights"
    for folder, words in folders.items():
        reason = reason.replace(str(folder.absolute()), words)
        # A relative path may also be a word of the sentence, such as "work".
        reason = re.sub(rf"(?<![\w./-]){re.escape(str(folder))}(?=/)", words, reason)
    return reason
