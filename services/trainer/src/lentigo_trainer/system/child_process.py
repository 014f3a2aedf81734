"""Run a function in a process of its own.

Its memory is freed when it ends, and its peak can be measured; TensorFlow starts in the same state
for every network. If the system kills it for lack of memory, the parent goes on.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that ended without a result.

    Attributes:
        reason: how, and what to do about it.
    """

    reason: str


def run_in_child(function: Callable[..., Result], *args: object, name: str) -> Result | Ended:
    """Call a function in a new process and wait for it; the process ends when this one dies.

    Args:
        function: of a module, which the new process can import; it raises nothing.
        *args: its arguments; they can be pickled, and so can its result, which is not None.
        name: of the process.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(function, args, sender), name=name)
    process.start()
    try:
        sender.close()
        try:
            result: Result | None = receiver.recv()
        except EOFError:
            result = None
        process.join()
    finally:
        if process.is_alive():
            process.terminate()
            process.join()
    return Ended(exit_reason(process.exitcode)) if result is None else result


def exit_reason(code: int | None) -> str:
    """Describe how a process without a result ended."""
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = "; most often the machine ran out of memory" if name == "SIGKILL" else ""
        return f"Its process was ended by {name}{hint}. Run the same command to resume."
    return f"Its process ended with exit code {code}. Run the same command to resume."


def _work(function: Callable[..., object], args: tuple[object, ...], sender: Connection) -> None:
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        sender.send(function(*args))
    except KeyboardInterrupt:
        # The parent reports the interruption.
        os._exit(os.EX_TEMPFAIL)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(os.EX_TEMPFAIL)
