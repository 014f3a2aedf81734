"""The thread that looks at the model repository again and again."""

import threading
from collections.abc import Callable

import structlog

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

Wait = Callable[[float], bool]
"""Waits for so many seconds; true means: stop."""


class Watcher:
    """Calls `look` at once and then every `interval_s` seconds, in a thread of its own.

    Listing a volume, checking sums and loading a model block for seconds, and on a volume that has
    gone away for good; neither may happen on the event loop. The thread is a daemon, so that such a
    volume cannot keep the process from ending.
    """

    def __init__(
        self, look: Callable[[], None], interval_s: float, wait: Wait | None = None
    ) -> None:
        """Prepare; `wait` replaces the clock in tests."""
        self._look = look
        self._interval_s = interval_s
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._thread = threading.Thread(target=self._run, name="lentigo-watcher", daemon=True)

    def start(self) -> None:
        """Begin, with the first look at once."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """End after the look under way; tells whether that was within the timeout."""
        self._stopping.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._look()
            except Exception:  # noqa: BLE001 - the next look may find mended what this one met
                _log.exception("looking at the model repository failed")
            if self._wait(self._interval_s):
                return
