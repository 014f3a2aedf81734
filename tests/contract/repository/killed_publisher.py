"""Kill a publisher before each of its system calls in turn, and look at what is left.

Run with the repository's root. A process of its own, because it forks, and a test's process has
threads. It ends with an AssertionError, or prints how many different deaths it has seen.
"""

import os
import signal
import sys
from io import IOBase
from pathlib import Path
from types import FrameType
from unittest.mock import patch

from lentigo_contract.repository.store import ModelStore
from tests.contract.versions import fill_made_version


def main() -> None:
    """Kill the n-th call for n = 1, 2, 3, ... until a publisher outlives its calls."""
    store = ModelStore(Path(sys.argv[1]))
    # What a killed process wrote stays; flushing is against power cuts, and takes long.
    with patch.object(os, "fsync"):
        store.publish(fill_made_version)
        deaths = 0
        while _killed_at(store, deaths + 1):
            deaths += 1
            _check(store, f"after death {deaths}")
        _check(store, "at the end")
    sys.stdout.write(f"{deaths}\n")


def _check(store: ModelStore, when: str) -> None:
    """What readers see is whole, and the next publisher succeeds and clears up."""
    before = store.versions()
    assert before == list(range(1, len(before) + 1)), (when, before)
    store.verify(before[-1])
    published = store.publish(fill_made_version)
    assert published.version == len(before) + 1, (when, published.version)
    left = {path.name for path in store.folder.iterdir()}
    assert left == {str(version) for version in store.versions()}, (when, left)


def _killed_at(store: ModelStore, call: int) -> bool:
    child = os.fork()
    if child == 0:
        _die_before_call(call)
        store.publish(fill_made_version)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def _die_before_call(number: int) -> None:
    left = number

    def count(_frame: FrameType, event: str, function: object) -> None:
        nonlocal left
        if event == "c_call" and _is_system_call(function):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)


def _is_system_call(function: object) -> bool:
    return getattr(function, "__module__", None) in {"posix", "fcntl", "_io"} or isinstance(
        getattr(function, "__self__", None), IOBase
    )


if __name__ == "__main__":
    main()
