"""How far a run is, on standard error: one line that is kept up to date, or a line now and then.

It names counts and never a path: those of an archive may name patients.
"""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, TextIO

from lentigo_contract.errors import LentigoError

TERMINAL_INTERVAL_S: Final = 0.5
LOG_INTERVAL_S: Final = 10.0


class Progress:
    """Counts images, and says so. One thread uses it."""

    def __init__(
        self,
        stream: TextIO,
        clock: Callable[[], float] = time.monotonic,
        interval_s: float | None = None,
    ) -> None:
        """Prepare.

        Args:
            stream: gets the lines; on a terminal, each takes the place of the one before.
            clock: monotonic seconds.
            interval_s: between two lines; by default short for a terminal and long for a log.
        """
        self._stream = stream
        self._terminal = stream.isatty()
        usual = TERMINAL_INTERVAL_S if self._terminal else LOG_INTERVAL_S
        self._interval_s = usual if interval_s is None else interval_s
        self._clock = clock
        self._started = self._last_line = clock()
        self._total: int | None = None
        self.skipped = 0
        self.scored = 0
        self.failed = 0

    @property
    def seconds(self) -> float:
        """Since it began."""
        return self._clock() - self._started

    def expect(self, total: int) -> None:
        """Take the number of all images, once it is known. From any thread."""
        self._total = total

    def begin(self) -> None:
        """Start the clock: what comes before, such as loading the model, is not scoring."""
        self._started = self._clock()

    def listed(self, count: int) -> None:
        """An archive has named so many instances, and is asked for more."""
        now = self._clock()
        if now - self._last_line >= self._interval_s:
            self._last_line = now
            self._write(f"{count:,} instances listed")

    def advance(self, images: int, failed: int) -> None:
        """See `run.Watching`."""
        self.scored += images
        self.failed += failed
        self.look()

    def skip(self, images: int) -> None:
        """See `run.Watching`."""
        self.skipped += images

    def look(self) -> None:
        """See `run.Watching`."""
        now = self._clock()
        if now - self._last_line >= self._interval_s:
            self._last_line = now
            self._write(self.line())

    def end(self) -> None:
        """Write the last line, which stays."""
        self._write(self.line())
        if self._terminal:
            self._stream.write("\n")

    def line(self) -> str:
        """Return how far it is: counts, rate, time left, failures."""
        done, total = self.skipped + self.scored, self._total
        parts = [f"{done:,} images" if total is None else f"{done:,} of {total:,} images"]
        rate = self.scored / self.seconds if self.seconds > 0 else 0.0
        if rate:
            parts.append(f"{rate:,.1f} images/s")
        if rate and total is not None and total > done:
            parts.append(f"{duration((total - done) / rate)} left")
        if self.skipped:
            parts.append(f"{self.skipped:,} from before")
        parts.append(f"{self.failed:,} failed")
        return ", ".join(parts)

    def _write(self, line: str) -> None:
        if self._terminal:
            self._stream.write(f"\r\x1b[K{line}")
        else:
            self._stream.write(f"{line}\n")
        self._stream.flush()


def duration(seconds: float) -> str:
    """Return seconds as 0:42, 1:02:03 or 2 d 3:04:05."""
    days, rest = divmod(max(0, round(seconds)), 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    clock = f"{hours}:{minutes:02}:{rest:02}" if hours or days else f"{minutes}:{rest:02}"
    return f"{days} d {clock}" if days else clock


def count_aside(images: Callable[[], Iterable[object]], progress: Progress) -> None:
    """Count the images of a source on a thread of its own, so that there is a time left."""

    def count() -> None:
        # A source that cannot be read is reported by the run.
        with suppress(LentigoError):
            progress.expect(sum(1 for _ in images()))

    threading.Thread(target=count, name="lentigo-count", daemon=True).start()
