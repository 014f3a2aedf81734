"""Run a benchmark's job in its own process.

The memory of one architecture is freed before the next begins, and its peak can be measured. If the
system kills a process for lack of memory, the other jobs still run. TensorFlow starts in the same
state for every network.
"""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

from lentigo_contract.errors import LentigoError
from lentigo_trainer.benchmark.job import Job
from lentigo_trainer.benchmark.records import BenchmarkResult
from lentigo_trainer.errors import WeightsUnavailableError
from lentigo_trainer.models.registry import architecture
from lentigo_trainer.system.native_output import quiet_tensorflow
from lentigo_trainer.system.progress import Progress, progress_for


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """Why a job has no result.

    Attributes:
        reason: a phrase or a few sentences.
        failed: whether that was a failure; missing weights or an architecture left out are none.
    """

    reason: str
    failed: bool


Outcome = BenchmarkResult | NotMeasured

RunJob = Callable[[Job, Progress], BenchmarkResult]


def _run_with_tensorflow(job: Job, progress: Progress) -> BenchmarkResult:
    with quiet_tensorflow():
        from lentigo_trainer.benchmark.measurement import run_job  # noqa: PLC0415 - in the new process only
    return run_job(job, progress)


def run_isolated(job: Job, run_job: RunJob = _run_with_tensorflow) -> Outcome:
    """Run a job in a new process and wait for it; the new process ends when this one dies.

    Args:
        job: what to train and evaluate.
        run_job: runs it; a function of a module, which the new process can import.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(
        target=_work, args=(job, run_job, sender), name=job.config.recipe.architecture
    )
    process.start()
    try:
        sender.close()
        try:
            outcome: Outcome | None = receiver.recv()
        except EOFError:
            outcome = None
        process.join()
    finally:
        if process.is_alive():
            process.terminate()
            process.join()
    return outcome or NotMeasured(exit_reason(process.exitcode), failed=True)


def exit_reason(code: int | None) -> str:
    """Describe how a process without an outcome ended."""
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = "; most often the machine ran out of memory" if name == "SIGKILL" else ""
        return f"Its process was ended by {name}{hint}. Run the same command to resume."
    return f"Its process ended with exit code {code}. Run the same command to resume."


def _work(job: Job, run_job: RunJob, sender: Connection) -> None:
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        sender.send(_outcome(job, run_job))
    except KeyboardInterrupt:
        # The parent reports the interruption.
        os._exit(os.EX_TEMPFAIL)


def _outcome(job: Job, run_job: RunJob) -> Outcome:
    progress = progress_for()
    try:
        return run_job(job, progress)
    except WeightsUnavailableError as error:
        progress.say(str(error))
        file = architecture(job.config.recipe.architecture).weights_file
        return NotMeasured(f"weights unavailable ({file})", failed=False)
    except LentigoError as error:
        return NotMeasured(str(error), failed=True)
    except Exception as error:  # noqa: BLE001 - one failing network must not stop the others
        traceback.print_exc()
        line = (str(error).strip().splitlines() or [""])[0]
        return NotMeasured(f"{type(error).__name__}: {line}", failed=True)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(os.EX_TEMPFAIL)
