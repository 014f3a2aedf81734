"""Functions that a new process may run instead of training."""

import os
import signal
import sys
from pathlib import Path

from lentigo_contract.errors import StorageError
from lentigo_trainer.benchmark.isolation import run_isolated
from lentigo_trainer.benchmark.job import Job
from lentigo_trainer.benchmark.records import BenchmarkResult
from lentigo_trainer.errors import WeightsUnavailableError
from lentigo_trainer.system.progress import Progress
from tests.trainer.benchmark.made_up import made_config, made_result


def made_job(work: Path) -> Job:
    return Job(made_config(work).training("vgg16"), "d" * 64)


def finish(job: Job, _progress: Progress) -> BenchmarkResult:
    return made_result(images=os.getpid(), recipe={"name": job.config.recipe.architecture})


def fail_on_full_disk(_job: Job, _progress: Progress) -> BenchmarkResult:
    raise StorageError("The disk is full.")


def fail_without_weights(_job: Job, _progress: Progress) -> BenchmarkResult:
    raise WeightsUnavailableError("There are no weights.")


def fail_unexpectedly(_job: Job, _progress: Progress) -> BenchmarkResult:
    raise ZeroDivisionError("by nought\nand more")


def kill_itself(_job: Job, _progress: Progress) -> BenchmarkResult:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def exit_early(_job: Job, _progress: Progress) -> BenchmarkResult:
    os._exit(3)


def wait_forever(job: Job, _progress: Progress) -> BenchmarkResult:
    # No other process has this pipe open for writing, so its reader sees when this process ends.
    with Path(job.config.work.root / "pipe").open("w") as pipe:
        pipe.write("here\n")
        pipe.flush()
        signal.pause()
    raise AssertionError


if __name__ == "__main__":
    run_isolated(made_job(Path(sys.argv[1])), wait_forever)
