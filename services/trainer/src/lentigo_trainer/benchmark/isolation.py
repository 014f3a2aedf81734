"""Run a benchmark's job in its own process, see `system.child_process`."""

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lentigo_contract.errors import LentigoError
from lentigo_contract.wording import pluralize
from lentigo_trainer.benchmark.job import Job
from lentigo_trainer.benchmark.records import BenchmarkResult
from lentigo_trainer.errors import WeightsUnavailableError
from lentigo_trainer.models.registry import ARCHITECTURES, architecture
from lentigo_trainer.system.child_process import Ended, run_in_child
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


def run_with_tensorflow(job: Job, progress: Progress) -> BenchmarkResult:
    """Load TensorFlow and run a job; see `measurement.run_job`."""
    with quiet_tensorflow():
        from lentigo_trainer.benchmark.measurement import run_job  # noqa: PLC0415 - in the new process only
    return run_job(job, progress)


def run_isolated(job: Job, run_job: RunJob = run_with_tensorflow) -> Outcome:
    """Run a job in a new process and wait for it; the new process ends when this one dies.

    Args:
        job: what to train and evaluate.
        run_job: runs it; a function of a module, which the new process can import.
    """
    name = job.config.recipe.architecture
    return outcome_or_reason(run_in_child(outcome_of, job, run_job, name=name))


def run_here(jobs: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
    """Run jobs one after another, each in a process of its own."""
    for number, job in enumerate(jobs, start=1):
        recipe = job.config.recipe
        title = ARCHITECTURES[recipe.architecture].title
        epochs = pluralize(recipe.epochs, "epoch")
        progress_for().say(f"{title} ({number} of {len(jobs)}): {epochs}")
        yield job, run_isolated(job)


def outcome_or_reason(outcome: Outcome | Ended) -> Outcome:
    """Return an outcome; that a process ended without one is the reason why there is none."""
    return NotMeasured(outcome.reason, failed=True) if isinstance(outcome, Ended) else outcome


def outcome_of(job: Job, run_job: RunJob = run_with_tensorflow) -> Outcome:
    """Run a job in this process; an error becomes the reason why it has no result."""
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
