"""Run a benchmark's job in a process of its own.

One architecture's memory is freed before the next begins, and its peak is its own. A process that
the system kills for lack of memory takes no other with it, and TensorFlow starts as fresh for the
seventh network as for the first.
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
    """Why a job gave no figures.

    Attributes:
        reason: a phrase or a few sentences.
        failed: whether that was a failure, rather than weights that are not there.
    """

    reason: str
    failed: bool


Outcome = BenchmarkResult | NotMeasured

RunJob = Callable[[Job, Progress], BenchmarkResult]


def _measure(job: Job, progress: Progress) -> BenchmarkResult:
    with quiet_tensorflow():
        from lentigo_trainer.benchmark.measurement import run_job  # noqa: PLC0415 - only over there
    return run_job(job, progress)


def run_isolated(job: Job, run_job: RunJob = _measure) -> Outcome:
    """Do a job in a new process and wait for it; if this process dies, so does that one.

    Args:
        job: what to train and measure.
        run_job: does it; a function of a module, which the new process can import.
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
    return outcome or NotMeasured(died(process.exitcode), failed=True)


def died(code: int | None) -> str:
    """Describe how a process ended that left no outcome."""
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = "; most often the machine ran out of memory" if name == "SIGKILL" else ""
        return f"Its process was ended by {name}{hint}. Run the same command to go on."
    return f"Its process ended with exit code {code}. Run the same command to go on."


def _work(job: Job, run_job: RunJob, sender: Connection) -> None:
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        sender.send(_outcome(job, run_job))
    except KeyboardInterrupt:
        # The parent says what there is to say.
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
    except Exception as error:  # noqa: BLE001 - whatever one network does, the others get their turn
        traceback.print_exc()
        line = (str(error).strip().splitlines() or [""])[0]
        return NotMeasured(f"{type(error).__name__}: {line}", failed=True)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(os.EX_TEMPFAIL)
