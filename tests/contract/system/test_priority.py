import contextvars
import os
import sys
import threading

import pytest

from lentigo_contract.system.priority import at_low_priority, lower_priority

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")


def niceness() -> int:
    """How much this thread yields to the main thread."""
    main = os.getpriority(os.PRIO_PROCESS, os.getpid())
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) - main


def at_least(wanted: int) -> int:
    """What a thread started from here comes to; 19 is the lowest priority there is."""
    room = 19 - os.getpriority(os.PRIO_PROCESS, os.getpid())
    return max(min(wanted, room), niceness())


def test_low_priority_work_returns_or_raises_and_ends_its_thread() -> None:
    before = niceness()
    assert at_low_priority(niceness) >= before
    assert niceness() == before
    with pytest.raises(ZeroDivisionError):
        at_low_priority(lambda: 1 // 0)


@linux
@pytest.mark.parametrize("wanted", [0, 2, 5])
def test_work_yields_as_much_as_was_asked_for(wanted: int) -> None:
    assert at_low_priority(niceness, wanted) == at_least(wanted)


@linux
def test_what_yields_already_is_lowered_no_further() -> None:
    def again() -> int:
        lower_priority(4)
        lower_priority(2)
        return niceness()

    assert at_low_priority(again, 4) == at_least(4)


@linux
def test_threads_that_it_starts_yield_as_well() -> None:
    found: list[int] = []

    def start() -> None:
        thread = threading.Thread(target=lambda: found.append(niceness()))
        thread.start()
        thread.join()

    at_low_priority(start, 3)
    assert found == [at_least(3)]


def test_log_context_goes_along() -> None:
    request = contextvars.ContextVar("request", default="none")
    request.set("r1")
    assert at_low_priority(request.get) == "r1"
