"""Threads that yield to others, on Linux; elsewhere every thread is ordinary.

A thread that was lowered cannot be raised again without rights that no service should have. Threads
that it starts, those of a runtime among them, inherit its priority.
"""

import contextvars
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

BACKGROUND: Final = 10
"""Beside a busy thread it gets about a tenth of a core, and all of an idle one."""

# The kernel's lowest priority.
_LOWEST: Final = 19


def lower_priority(niceness: int) -> None:
    """Let this thread yield to the main thread from now on; does nothing if it does so already.

    Args:
        niceness: more than the main thread's, 0 to 19. Each step takes a fifth of its weight.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):
            # The main thread has the number of the process.
            wanted = min(_LOWEST, os.getpriority(os.PRIO_PROCESS, os.getpid()) + niceness)
            if wanted > os.getpriority(os.PRIO_PROCESS, thread):
                os.setpriority(os.PRIO_PROCESS, thread, wanted)


def at_low_priority(work: Callable[[], T], niceness: int = BACKGROUND) -> T:
    """Run work on a thread of its own that yields to others, and return its result.

    Runtimes that are started in it stay at its priority, see `lower_priority`.
    """
    results: list[T] = []
    failures: list[BaseException] = []
    context = contextvars.copy_context()

    def run() -> None:
        lower_priority(niceness)
        try:
            results.append(context.run(work))
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            failures.append(error)

    # A daemon, so that a volume that hangs cannot keep the process from ending.
    thread = threading.Thread(target=run, name="lentigo-low-priority", daemon=True)
    thread.start()
    thread.join()
    if failures:
        raise failures.pop()
    return results.pop()


def yield_to_all() -> None:
    """Let this process run only while nobody else wants to, and be the first to be ended.

    On Linux it gets the policy SCHED_IDLE (man 7 sched), and the kernel ends it before any other
    process when memory runs out. Elsewhere it has the lowest ordinary priority. To be called before
    there are other threads: those that it starts later are the same.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    os.nice(_LOWEST)
    if sys.platform == "linux":
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
