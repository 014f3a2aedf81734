"""The whole of `lentigo-inference score`: source, model, workers, results, summary."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final, Self, TextIO

from lentigo_contract.system.resources import available_cores
from lentigo_inference.errors import FetchFailure, MissingExtraError, ScoringStoppedError
from lentigo_inference.observability.logging import configure_logs
from lentigo_inference.scoring.page import summary_page
from lentigo_inference.scoring.prepare import Prepared, prepare
from lentigo_inference.scoring.progress import Progress, count_aside, duration
from lentigo_inference.scoring.results import (
    ResultFolder,
    open_results,
    recorded_engine,
    require_pyarrow,
)
from lentigo_inference.scoring.rows import WORKER_ENDED
from lentigo_inference.scoring.run import Run
from lentigo_inference.scoring.sources.archive_address import is_dicomweb
from lentigo_inference.scoring.sources.choose import choose_source
from lentigo_inference.scoring.sources.found import ListedSource, Source
from lentigo_inference.scoring.summary import Summary, parts_with_errors, summarize
from lentigo_inference.scoring.workers.base import Beginning, Workers
from lentigo_inference.scoring.workers.processes import ProcessWorkers
from lentigo_inference.scoring.workers.ray_cluster import ClusterWorkers
from lentigo_inference.settings import Settings, load_settings

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


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for; see `commands.score_command`."""

    source: str
    to: Path
    column: str | None = None
    workers: int | None = None
    ray: str | None = None
    timeout_s: float = 60.0
    part_size: int = 1000
    retry_errors: bool = False


def score_archive(request: Request, stream: TextIO) -> str:
    """Score what is not finished yet, and return a line about all of it.

    Args:
        request: what to score.
        stream: gets the progress.

    Raises:
        ScoringError: something ends the run; what is finished is kept.
        LentigoError: the settings or the model cannot be used.
    """
    settings = load_settings()
    configure_logs(settings.model_copy(update={"log_level": "error"}))
    require_pyarrow()
    signals = StopSignals()
    source = _source(request, settings, signals.check)
    prepared = prepare(settings, request.timeout_s, recorded_engine(request.to))
    run = {"source": source.identity, "part_size": request.part_size, **prepared.document}
    with open_results(request.to, run, prepared.answered_by, request.part_size) as results:
        if request.retry_errors:
            results.reopen(parts_with_errors(results.parts(), _PASSING))
        if results.finished:
            return f"{request.to} is finished. Use --retry-errors, or name another folder."
        progress = Progress(stream)
        _score(source, results, progress, lambda: _workers(prepared, request), signals)
        return _last_line(_finish(source, results, progress), request.to)


def _source(request: Request, settings: Settings, stopped: Callable[[], None]) -> Source:
    if is_dicomweb(request.source):
        try:
            from lentigo_inference.scoring.sources.dicomweb import (  # noqa: PLC0415 - an extra
                dicomweb_source,
            )
        except ImportError as error:
            raise MissingExtraError(
                "DICOM archives are read with the gateway's code. Install "
                "lentigo-inference[score,dicomweb]."
            ) from error
        return dicomweb_source(
            request.source,
            request.to,
            settings.image_limits(),
            request.timeout_s,
            os.environ,
            stopped,
        )
    return choose_source(Path(request.source), settings.max_upload_bytes, request.column)


def _score(
    source: Source,
    results: ResultFolder,
    progress: Progress,
    start: Callable[[], Workers],
    signals: "StopSignals",
) -> None:
    def begin() -> Workers:
        workers = start()
        # Ray has handlers of its own, with which SIGTERM would end this process at once.
        signals.install()
        progress.begin()
        return workers

    if isinstance(source, ListedSource):
        _list(source, progress)
    count_aside(source.images, progress)
    with signals:
        try:
            Run(results, progress, signals.check).score(source.images(), begin)
        finally:
            progress.end()


def _list(source: ListedSource, progress: Progress) -> None:
    try:
        source.list_instances(progress.listed)
    except KeyboardInterrupt as error:
        raise _stopped() from error


def _stopped() -> ScoringStoppedError:
    return ScoringStoppedError(
        "Stopped. What is finished is kept; the same command goes on from there."
    )


def _workers(prepared: Prepared, request: Request) -> Workers:
    if request.ray is None:
        beginning = Beginning(prepared.root, prepared.model, prepared.limits)
        return ProcessWorkers(request.workers or available_cores(), beginning)
    return ClusterWorkers(request.ray, prepared, request.workers)


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


class StopSignals:
    """Turns SIGINT and SIGTERM into an error at the next opportunity."""

    _NUMBERS: Final = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        """Prepare; nothing is changed yet."""
        self._received = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        """Take the signals."""
        self._before = {number: signal.getsignal(number) for number in self._NUMBERS}
        self.install()
        return self

    def __exit__(self, *_error: object) -> None:
        """Give them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def install(self) -> None:
        """Take the signals, also if somebody else took them meanwhile."""
        for number in self._NUMBERS:
            signal.signal(number, self._note)

    def check(self) -> None:
        """Raise ScoringStoppedError if one of them has come."""
        if self._received:
            raise _stopped()

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._received = True
