"""A thread that checks something again and again, such as the model repository."""

import threading
from collections.abc import Callable

import structlog

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

Wait = Callable[[float], bool]
"""Waits so many seconds; returns whether to stop."""


class Watcher:
    """Calls `check` at once and then every `interval_s` seconds, in a thread of its own.

    Listing a volume, verifying checksums and loading a model block for seconds, and for ever on a
    volume that has gone away; none of that may happen on the event loop. The thread is a daemon, so
    that such a volume cannot keep the process from ending.
    """

    def __init__(
        self,
        watched: str,
        check: Callable[[], None],
        interval_s: float,
        wait: Wait | None = None,
    ) -> None:
        """Prepare a watcher.

        Args:
            watched: what it watches, for the log and the name of the thread.
            check: what to do each time.
            interval_s: seconds from the end of one check to the next.
            wait: replaces the clock in tests.
        """
        self._watched = watched
        self._check = check
        self._interval_s = interval_s
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._thread = threading.Thread(
            target=self._run, name=f"lentigo-watcher-{watched.replace(' ', '-')}", daemon=True
        )

    def start(self) -> None:
        """Start, with the first check at once."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """End after the check under way; return whether that was within the timeout."""
        self._stopping.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._check()
            except Exception:  # noqa: BLE001 - the cause may be gone at the next check
                _log.exception("watching failed", watched=self._watched)
            if self._wait(self._interval_s):
                return
