"""Progress of long steps: a bar on a terminal, or a line every few seconds in a log.

Steps report to a `Progress` and do not know where it is shown:

    with progress.track("Decoding", total=10_015, unit="images") as step:
        for image in images:
            ...
            step.advance()
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final, Protocol, TextIO

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.text import Text

BYTES: Final = "bytes"
"""A unit that is shown as kB, MB and GB; other units are shown as they are."""

SECONDS_BETWEEN_LINES: Final = 10.0


class Step(Protocol):
    """A step in progress."""

    def advance(self, amount: int = 1) -> None:
        """Count `amount` more units as done."""

    def note(self, text: str) -> None:
        """Show a short text after the counts, such as the loss so far."""


class Progress(Protocol):
    """Shows the progress of steps."""

    def track(
        self, description: str, total: int | None, unit: str = "rows", done: int = 0
    ) -> AbstractContextManager[Step]:
        """Show one step of `total` units (None if unknown), of which `done` were done before."""

    def say(self, line: str) -> None:
        """Print a line that stays, without disturbing a bar on the screen."""


def progress_for(stream: TextIO | None = None) -> Progress:
    """Return bars for a terminal and lines for everything else, by default on standard error.

    Results go to standard output, so progress does not get into a pipe.
    """
    target = stream or sys.stderr
    if target.isatty():
        return BarProgress(Console(file=target))

    def write(line: str) -> None:
        target.write(line + "\n")
        target.flush()

    return LineProgress(write)


class LineProgress:
    """Writes at most one line every few seconds, for logs and CI.

    Args:
        write: writes a line, given without its line break.
        clock: seconds, monotonic.
        interval: seconds between two lines of a step; its last line is always written.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        interval: float = SECONDS_BETWEEN_LINES,
    ) -> None:
        self._write = write
        self._clock = clock
        self._interval = interval

    @contextmanager
    def track(
        self, description: str, total: int | None, unit: str = "rows", done: int = 0
    ) -> Iterator[Step]:
        """See `Progress.track`."""
        step = _LineStep(description, total, unit, done, self._write, self._clock, self._interval)
        yield step
        step.finish()

    def say(self, line: str) -> None:
        """See `Progress.say`."""
        self._write(line)


class SilentProgress(LineProgress):
    """Shows nothing; for tests and for use as a library."""

    def __init__(self) -> None:
        super().__init__(lambda _line: None)


class BarProgress:
    """Draws a bar for every step on a terminal; steps can be nested."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: RichProgress | None = None

    @contextmanager
    def track(
        self, description: str, total: int | None, unit: str = "rows", done: int = 0
    ) -> Iterator[Step]:
        """See `Progress.track`."""
        outermost = self._bars is None
        bars = self._bars or RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            _CountColumn(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            TextColumn("{task.fields[note]}"),
            console=self._console,
        )
        if outermost:
            self._bars = bars
            bars.start()
        task = bars.add_task(description, total=total, completed=done, unit=unit, note="")
        try:
            yield _BarStep(bars, task)
        finally:
            if outermost:
                bars.stop()
                self._bars = None
            else:
                bars.remove_task(task)

    def say(self, line: str) -> None:
        """See `Progress.say`."""
        self._console.print(line, markup=False, highlight=False)


def count_text(done: int, total: int | None, unit: str) -> str:
    """Format how much of a total is done: "1,200 of 10,015 images", "3.0 kB of 4.0 kB"."""
    if unit == BYTES:
        return decimal(done) if total is None else f"{decimal(done)} of {decimal(total)}"
    return f"{done:,} {unit}" if total is None else f"{done:,} of {total:,} {unit}"


def rate_text(per_second: float, unit: str) -> str:
    """Format a rate: "85 images/s", "0.05 epochs/s", "1.2 MB/s"."""
    if unit == BYTES:
        return f"{decimal(int(per_second))}/s"
    digits = 0 if per_second >= 10 else 2
    return f"{per_second:,.{digits}f} {unit}/s"


def duration_text(seconds: float) -> str:
    """Format seconds as "0:42" or "1:02:03"; negative values count as zero."""
    minutes, rest = divmod(max(round(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class _LineStep:
    def __init__(
        self,
        description: str,
        total: int | None,
        unit: str,
        done: int,
        write: Callable[[str], None],
        clock: Callable[[], float],
        interval: float,
    ) -> None:
        self._description = description
        self._total = total
        self._unit = unit
        self._done = done
        self._before = done
        self._note = ""
        self._write = write
        self._clock = clock
        self._interval = interval
        self._started = clock()
        self._last_line = self._started

    def advance(self, amount: int = 1) -> None:
        self._done += amount
        now = self._clock()
        if now - self._last_line >= self._interval:
            self._last_line = now
            self._write(self._line(now))

    def note(self, text: str) -> None:
        self._note = text

    def finish(self) -> None:
        now = self._clock()
        self._write(f"{self._line(now, left=False)} in {duration_text(now - self._started)}")

    def _line(self, now: float, left: bool = True) -> str:
        elapsed = now - self._started
        rate = (self._done - self._before) / elapsed if elapsed > 0 else 0.0
        parts = [f"{self._description}: {count_text(self._done, self._total, self._unit)}"]
        if rate:
            parts.append(rate_text(rate, self._unit))
        if left and rate and self._total is not None:
            parts.append(f"{duration_text((self._total - self._done) / rate)} left")
        if self._note:
            parts.append(self._note)
        return ", ".join(parts)


class _BarStep:
    def __init__(self, bars: RichProgress, task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def advance(self, amount: int = 1) -> None:
        self._bars.advance(self._task, amount)

    def note(self, text: str) -> None:
        self._bars.update(self._task, note=text)


class _CountColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        unit = str(task.fields["unit"])
        total = None if task.total is None else int(task.total)
        text = count_text(int(task.completed), total, unit)
        speed = task.finished_speed or task.speed
        return Text(f"{text}, {rate_text(speed, unit)}" if speed else text)
