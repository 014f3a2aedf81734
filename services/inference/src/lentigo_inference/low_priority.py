"""Work that shall not slow down requests."""

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

T = TypeVar("T")

# Beside a busy thread it gets about a tenth of a core, and all of an idle one.
_YIELD: Final = 10


def at_low_priority(work: Callable[[], T]) -> T:
    """Run work on a thread of its own that yields to every other, and give what it gives.

    A thread cannot raise its own priority again, and threads that it starts inherit it; so the
    thread ends with the work, and no runtime may be started on it. Where the system has no priority
    for a thread, it is an ordinary one.
    """
    results: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        _lower_priority()
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
            failures.append(error)

    # A daemon, so that a volume that hangs cannot keep the process from ending.
    thread = threading.Thread(target=run, name="lentigo-verifier", daemon=True)
    thread.start()
    thread.join()
    if failures:
        raise failures.pop()
    return results.pop()


def _lower_priority() -> None:
    if sys.platform == "linux":
        with suppress(OSError):
            thread = threading.get_native_id()
            now = os.getpriority(os.PRIO_PROCESS, thread)
            # 19 is the least of the kernel's priorities.
            os.setpriority(os.PRIO_PROCESS, thread, min(19, now + _YIELD))
