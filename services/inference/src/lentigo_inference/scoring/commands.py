"""`lentigo-inference score`: answer every image of an archive."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

import typer

from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_contract.system.resources import available_cores
from lentigo_inference.errors import FetchFailure, ScoringStoppedError
from lentigo_inference.observability.logging import configure_logs
from lentigo_inference.scoring.page import summary_page
from lentigo_inference.scoring.prepare import Prepared, prepare
from lentigo_inference.scoring.processes import ProcessWorkers
from lentigo_inference.scoring.progress import Progress, count_aside, duration
from lentigo_inference.scoring.results import (
    ResultFolder,
    open_results,
    recorded_engine,
    require_pyarrow,
)
from lentigo_inference.scoring.rows import WORKER_ENDED
from lentigo_inference.scoring.run import Run
from lentigo_inference.scoring.sources.choose import choose_source
from lentigo_inference.scoring.sources.found import Source
from lentigo_inference.scoring.summary import Summary, parts_with_errors, summarize
from lentigo_inference.scoring.workers import Beginning, Workers
from lentigo_inference.settings import load_settings

# What may go better another time.
_PASSING: Final = frozenset(
    {
        FetchFailure.NOT_FOUND.value,
        FetchFailure.UNREADABLE.value,
        FetchFailure.TIMEOUT.value,
        FetchFailure.UNSUPPORTED_URL.value,
        WORKER_ENDED,
    }
)


def score_command(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A folder, a zip or tar file, or a CSV or Parquet table of paths or URLs.",
        ),
    ],
    to: Annotated[
        Path,
        typer.Option(
            "--to",
            metavar="DIR",
            help="Folder for the results. If it has those of the same run, the run goes on.",
            show_default=False,
        ),
    ],
    column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Column of a table with the paths or URLs; by default path, url or image.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1024,
            metavar="N",
            help="Processes on this machine, or actors in a cluster, each with one core and one "
            "model; by default one for each core.",
            show_default=False,
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="ADDRESS",
            help="Score on the Ray cluster at HOST:PORT, or auto for the one of this machine.",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(min=1, max=3600, metavar="SECONDS", help="For fetching an image by URL."),
    ] = 60.0,
    part_size: Annotated[
        int, typer.Option(min=1, max=1_000_000, metavar="N", help="Images in a Parquet file.")
    ] = 1000,
    retry_errors: Annotated[
        bool,
        typer.Option(
            "--retry-errors",
            help="Score parts again in which an image could not be fetched.",
        ),
    ] = False,
) -> None:
    """Answer every image of an archive as the service would, and write one row for each.

    The settings of the service hold: model repository, version, engine, decision, prevalence and
    limits. The results are Parquet files in DIR/rows and a summary. Whatever ends the run, what is
    finished is kept, and the same command goes on from there.
    """
    settings = load_settings()
    configure_logs(settings.model_copy(update={"log_level": "error"}))
    require_pyarrow()
    images = choose_source(source, settings.max_upload_bytes, column)
    prepared = prepare(settings, timeout, recorded_engine(to))
    run = {"source": images.identity, "part_size": part_size, **prepared.document}
    progress = Progress(sys.stderr)
    with open_results(to, run, prepared.answered_by, part_size) as results:
        if retry_errors:
            results.reopen(parts_with_errors(results.parts(), _PASSING))
        if not results.finished:
            _score(images, results, progress, lambda: _workers(prepared, workers, ray))
            summary = _finish(images, results, progress)
            typer.echo(_last_line(summary, to))
        else:
            typer.echo(f"{to} is finished already. Use --retry-errors, or name another folder.")
    typer.echo(RESEARCH_NOTICE)


def _score(
    source: Source, results: ResultFolder, progress: Progress, start: Callable[[], Workers]
) -> None:
    count_aside(source.images, progress)

    def begin() -> Workers:
        workers = start()
        progress.begin()
        return workers

    with _stop_signals() as stopped:
        try:
            Run(results, progress, stopped).score(source.images(), begin)
        finally:
            progress.end()


def _workers(prepared: Prepared, count: int | None, ray: str | None) -> Workers:
    if ray is None:
        beginning = Beginning(prepared.root, prepared.model, prepared.limits)
        return ProcessWorkers(count or available_cores(), beginning)
    from lentigo_inference.scoring.cluster import ClusterWorkers  # noqa: PLC0415 - an extra

    return ClusterWorkers(ray, prepared, count)


def _finish(source: Source, results: ResultFolder, progress: Progress) -> Summary:
    summary = summarize(results.parts())
    rate = progress.scored / progress.seconds if progress.seconds > 0 else 0.0
    timing = (
        f"{progress.scored:,} images in {duration(progress.seconds)}, {rate:,.1f} a second"
        f"{f'; {progress.skipped:,} by earlier runs of this command' if progress.skipped else ''}."
    )
    page = summary_page(summary, results.answered_by, source.identity["path"], timing)
    results.finish(summary.document(), page)
    return summary


def _last_line(summary: Summary, to: Path) -> str:
    return (
        f"{summary.images:,} images: {summary.answered:,} with a diagnosis, {summary.refused:,} "
        f"that cannot be judged, {summary.failed:,} without an answer. See {to / 'summary.html'}."
    )


@contextmanager
def _stop_signals() -> Iterator[Callable[[], None]]:
    """Turn SIGINT and SIGTERM into an error at the next opportunity, and ignore repetitions."""
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    def stopped() -> None:
        if received:
            raise ScoringStoppedError(
                "Stopped. What is finished is kept; the same command goes on from there."
            )

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
