"""Finds work that holds up the event loop."""

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

# Of processor time, which other processes on a busy machine do not add to.
_LIMIT_S: Final = 0.25


@contextmanager
def watched_loop() -> Iterator[None]:
    """Fail if one callback of the loop uses more processor time than a request may wait for.

    Waiting, as opposed to computing, is found by tests that hold a thread and then ask for answers.
    """
    slow: list[str] = []
    original = asyncio.Handle._run

    def measured(handle: asyncio.Handle) -> None:
        started = time.thread_time()
        original(handle)
        took = time.thread_time() - started
        if took > _LIMIT_S:
            slow.append(f"{took:.2f} s in {handle!r}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.Handle, "_run", measured)
        # What other tests of this process left behind is not for the service's loop to collect.
        gc.freeze()
        try:
            yield
        finally:
            gc.unfreeze()
    assert slow == []
