"""What a process apart may do instead of training."""

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
from tests.trainer.benchmark.made_up import made_config, made_measured


def made_job(work: Path) -> Job:
    return Job(made_config(work).training("vgg16"), "d" * 64)


def finish(job: Job, _progress: Progress) -> BenchmarkResult:
    return made_measured(images=os.getpid(), recipe={"name": job.config.recipe.architecture})


def find_the_disk_full(_job: Job, _progress: Progress) -> BenchmarkResult:
    raise StorageError("The disk is full.")


def find_no_weights(_job: Job, _progress: Progress) -> BenchmarkResult:
    raise WeightsUnavailableError("There are none; put them there.")


def break_unforeseen(_job: Job, _progress: Progress) -> BenchmarkResult:
    raise ZeroDivisionError("by nought\nand more")


def be_killed(_job: Job, _progress: Progress) -> BenchmarkResult:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def leave(_job: Job, _progress: Progress) -> BenchmarkResult:
    os._exit(3)


def wait_for_ever(job: Job, _progress: Progress) -> BenchmarkResult:
    # Nobody else has this pipe open for writing, so whoever reads it sees when this process ends.
    with Path(job.config.work.root / "pipe").open("w") as pipe:
        pipe.write("here\n")
        pipe.flush()
        signal.pause()
    raise AssertionError


if __name__ == "__main__":
    run_isolated(made_job(Path(sys.argv[1])), wait_for_ever)
