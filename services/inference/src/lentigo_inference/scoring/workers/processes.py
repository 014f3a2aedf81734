"""Workers that are processes of this machine, one for each core."""

import itertools
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Final

from lentigo_inference.errors import WorkersError
from lentigo_inference.scoring.items import Task
from lentigo_inference.scoring.workers.base import TASKS_A_WORKER, Beginning, Lost, Outcome, Scored

COMMAND: Final = (sys.executable, "-P", "-m", "lentigo_inference.scoring.workers.worker_process")

# Loading a model takes a second or two; TensorFlow ten, and more on a busy machine.
_START_S: Final = 300.0
_ENDING_S: Final = 2.0

# So many ends in a row, without a task scored in between, are not a single image's doing.
_MAX_ENDS_IN_A_ROW: Final = 20


class ProcessWorkers:
    """See `Workers`. A process that ends is replaced."""

    def __init__(self, count: int, beginning: Beginning, command: Sequence[str] = COMMAND) -> None:
        """Start the processes, and wait until all have loaded the model.

        Args:
            count: number of processes.
            beginning: what they begin with.
            command: gets the descriptor of the connection as a last argument.

        Raises:
            WorkersError: one cannot be started or cannot load the model.
        """
        self._beginning = beginning
        self._command = command
        self._numbers = itertools.count()
        self._ends_in_a_row = 0
        self._workers: list[_Process] = []
        try:
            self._workers += [_Process(command, beginning) for _ in range(count)]
            for worker in self._workers:
                worker.wait_until_ready()
        except BaseException:
            self.close()
            raise

    @property
    def size(self) -> int:
        """See `Workers`."""
        return len(self._workers)

    @property
    def room(self) -> int:
        """See `Workers`."""
        return sum(TASKS_A_WORKER - len(worker.tasks) for worker in self._workers)

    @property
    def pids(self) -> list[int]:
        """The numbers of the processes."""
        return [worker.pid for worker in self._workers]

    def submit(self, task: Task) -> None:
        """See `Workers`."""
        worker = min(self._workers, key=lambda each: len(each.tasks))
        worker.submit(next(self._numbers), task)

    def wait(self, timeout_s: float) -> Sequence[Outcome]:
        """See `Workers`."""
        outcomes: list[Outcome] = []
        ready = wait([worker.connection for worker in self._workers], timeout_s)
        for place, worker in enumerate(self._workers):
            if worker.connection not in ready:
                continue
            scored = worker.receive()
            if scored is not None:
                outcomes.append(scored)
                self._ends_in_a_row = 0
                continue
            outcomes += [Lost(task) for task in worker.tasks.values()]
            worker.close()
            self._ends_in_a_row += 1
            if self._ends_in_a_row > _MAX_ENDS_IN_A_ROW:
                raise WorkersError(
                    f"The processes that score end again and again: {worker.how_it_ended()} Is "
                    "there enough memory? Use fewer with --workers."
                )
            self._workers[place] = self._replacement()
        return outcomes

    def close(self) -> None:
        """See `Workers`."""
        for worker in self._workers:
            worker.close()

    def _replacement(self) -> "_Process":
        worker = _Process(self._command, self._beginning)
        try:
            worker.wait_until_ready()
        except BaseException:
            worker.close()
            raise
        return worker


class _Process:
    """One process, and the tasks that it has."""

    def __init__(self, command: Sequence[str], beginning: Beginning) -> None:
        self.tasks: dict[int, Task] = {}
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - our own program
                    [*command, str(theirs.fileno())],
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    # Runtimes write there whatever they like, over the progress.
                    stderr=subprocess.DEVNULL,
                )
            except OSError as error:
                ours.close()
                raise WorkersError(
                    f"A process that scores cannot be started ({error.strerror or error})."
                ) from error
        self.connection = Connection(ours.detach())
        with suppress(OSError):
            # If it has ended already, waiting for it says so.
            self.connection.send(beginning)

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until_ready(self) -> None:
        """Wait until the model is loaded; raises WorkersError if it is not."""
        try:
            if not self.connection.poll(_START_S):
                raise WorkersError(
                    f"A process that scores was not ready after {_START_S:g} seconds."
                )
            failed = self.connection.recv()
        except (EOFError, OSError) as error:
            raise WorkersError(
                f"A process that scores did not start: {self.how_it_ended()}"
            ) from error
        if failed is not None:
            raise WorkersError(f"A process that scores cannot load the model: {failed}")

    def submit(self, number: int, task: Task) -> None:
        self.tasks[number] = task
        with suppress(OSError):
            # If it has ended, `receive` says so, and the task is lost.
            self.connection.send((number, task))

    def receive(self) -> Scored | None:
        """Return what it has scored; None if it has ended."""
        try:
            number, rows = self.connection.recv()
        except (EOFError, OSError):
            return None
        return Scored(self.tasks.pop(number), rows)

    def how_it_ended(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING_S)
        code = self._process.returncode
        if code is None:
            return "it broke off."
        return f"exit code {code}." if code >= 0 else f"ended by signal {-code}."

    def close(self) -> None:
        self.connection.close()
        with suppress(ProcessLookupError):
            self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING_S)
