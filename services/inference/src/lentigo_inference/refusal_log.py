"""Requests that were refused for overload: one line a second, not one each.

A line costs as much as the refusal itself, and whoever looks at the log then wants to know how many
they were, why, and whose, rather than to scroll past them.
"""

import asyncio
from collections import Counter
from typing import Final

import structlog

from lentigo_inference.serving.request_record import RequestRecord

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

_NO_KEY: Final = "none"


class RefusalLog:
    """Counts refusals, and tells them some time after the first. Used on the event loop alone."""

    def __init__(self, interval_s: float = 1.0) -> None:
        """Start with none; `interval_s` is how long they are counted, in seconds."""
        self._interval_s = interval_s
        self._counts: Counter[tuple[str, str]] = Counter()

    def count(self, record: RequestRecord) -> None:
        """Count one, by its problem and its key."""
        if not self._counts:
            asyncio.get_running_loop().call_later(self._interval_s, self._tell)
        self._counts[record.problem or "", record.key or _NO_KEY] += 1

    def _tell(self) -> None:
        for (problem, key), requests in sorted(self._counts.items()):
            _log.warning("requests refused", problem=problem, key=key, requests=requests)
        self._counts.clear()
