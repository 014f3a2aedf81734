"""`lentigo-train benchmark`: parse, build a configuration, call one function."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lentigo_contract.system.resources import available_cores
from lentigo_trainer.cli.common.options import (
    EpochsOption,
    LimitOption,
    RandomWeightsOption,
    RayOption,
    SeedOption,
    SourceOption,
    WeightsOption,
    WorkOption,
    absolute,
    cluster_at,
    prepared_from,
    require_alone,
    weights_from,
)
from lentigo_trainer.config.training import WorkFolder
from lentigo_trainer.models.registry import ARCHITECTURES, architecture
from lentigo_trainer.system.progress import progress_for

if TYPE_CHECKING:
    from lentigo_trainer.benchmark.isolation import Outcome
    from lentigo_trainer.benchmark.job import Job

_WORK: Final = Path("work")
_NAMES: Final = ", ".join(ARCHITECTURES)
_FAILED: Final = 1


def benchmark(  # noqa: PLR0913, PLR0917 - the command's options
    source: SourceOption,
    work: WorkOption = _WORK,
    weights_dir: WeightsOption = None,
    random_weights: RandomWeightsOption = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Architectures to train now, with commas: {_NAMES}.", show_default="all"
        ),
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option(help="Architectures to leave out now, with commas.", show_default="none"),
    ] = None,
    recipes: Annotated[
        Path | None,
        typer.Option(
            help="Folder with recipes named after their architectures, such as vgg16.toml.",
            show_default="our own",
        ),
    ] = None,
    epochs: EpochsOption = None,
    limit: LimitOption = None,
    seed: SeedOption = 0,
    ray: RayOption = None,
    report_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder for benchmark.json, README.md and plots; an existing report on the "
            "same rows is added to.",
            show_default="WORK/benchmark/report",
        ),
    ] = None,
) -> None:
    """Train every architecture by its recipe and report how they compare; resumable.

    Results that an earlier run measured on the same rows are in the report too, if you give its
    work folder or its report again. The exit code is 1 if an architecture failed; missing weights
    do not count as a failure.
    """
    from lentigo_trainer.benchmark.isolation import (  # noqa: PLC0415 - see cli
        outcome_of,
        outcome_or_reason,
        run_here,
    )
    from lentigo_trainer.benchmark.job import recipe_of  # noqa: PLC0415
    from lentigo_trainer.benchmark.report import read_report, write_report  # noqa: PLC0415
    from lentigo_trainer.benchmark.run import BenchmarkConfig, compare  # noqa: PLC0415

    require_alone()
    chosen = _chosen(only or [], skip or [])
    followed = {name: recipe_of(name, recipes) for name in ARCHITECTURES}
    if epochs is not None:
        followed = {name: recipe.for_epochs(epochs) for name, recipe in followed.items()}
    weights = weights_from(weights_dir, random_weights)
    progress = progress_for()
    config = BenchmarkConfig(
        work=WorkFolder(work),
        weights=weights,
        recipes=followed,
        chosen=chosen,
        seed=seed,
        limit=limit,
        cores=available_cores(),
    )
    folder = report_dir or work / "benchmark" / "report"
    reported = read_report(folder)
    prepared = prepared_from(source, work, progress)

    def run_there(jobs: "Sequence[Job]") -> "Iterator[tuple[Job, Outcome]]":
        with cluster_at(ray or "", work, weights, (), progress) as cluster:
            there = {replace(job, config=absolute(job.config, cluster.cores)): job for job in jobs}
            for job, outcome in cluster.run(outcome_of, list(there)):
                yield there[job], outcome_or_reason(outcome)

    result = compare(
        config,
        prepared,
        run_here if ray is None else run_there,
        lambda record: write_report(record, folder),
        lambda: datetime.now(UTC),
        progress,
        reported,
    )
    typer.echo(f"The report is in {folder}")
    if any(entry.failed for entry in result.entries):
        raise typer.Exit(_FAILED)


def _chosen(only: list[str], skip: list[str]) -> tuple[str, ...]:
    wanted, unwanted = _names(only) or list(ARCHITECTURES), _names(skip)
    chosen = tuple(name for name in ARCHITECTURES if name in wanted and name not in unwanted)
    if not chosen:
        raise typer.BadParameter("--only and --skip leave no architecture to train.")
    return chosen


def _names(options: list[str]) -> list[str]:
    names = [name.strip() for option in options for name in option.split(",") if name.strip()]
    return [architecture(name).name for name in names]
