import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lentigo_trainer.benchmark.isolation import NotMeasured, run_isolated
from lentigo_trainer.benchmark.records import BenchmarkResult
from tests.trainer.benchmark import deeds

ROOT = Path(__file__).parents[3]


def test_a_job_runs_in_another_process(tmp_path: Path) -> None:
    outcome = run_isolated(deeds.made_job(tmp_path), deeds.finish)
    assert isinstance(outcome, BenchmarkResult)
    assert outcome.images != os.getpid()
    assert outcome.recipe == {"name": "vgg16"}


@pytest.mark.parametrize(
    ("deed", "reason", "failed"),
    [
        (deeds.fail_on_full_disk, "The disk is full.", True),
        (
            deeds.fail_without_weights,
            "weights unavailable (vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5)",
            False,
        ),
        (deeds.fail_unexpectedly, "ZeroDivisionError: by nought", True),
    ],
)
def test_an_error_in_the_other_process_is_the_reason(
    tmp_path: Path, deed: Callable[..., Any], reason: str, failed: bool
) -> None:
    assert run_isolated(deeds.made_job(tmp_path), deed) == NotMeasured(reason, failed)


@pytest.mark.parametrize(
    ("deed", "expected"),
    [
        (deeds.kill_itself, "SIGKILL; most often the machine ran out of memory"),
        (deeds.exit_early, "code 3"),
    ],
)
def test_a_process_that_ends_without_an_outcome_is_a_failure(
    tmp_path: Path, deed: Callable[..., Any], expected: str
) -> None:
    outcome = run_isolated(deeds.made_job(tmp_path), deed)
    assert isinstance(outcome, NotMeasured)
    assert outcome.failed
    assert expected in outcome.reason


def test_a_killed_benchmark_leaves_no_process_behind(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    command = [sys.executable, "-m", "tests.trainer.benchmark.deeds", str(tmp_path)]
    parent = subprocess.Popen(command, cwd=ROOT)
    with (tmp_path / "pipe").open() as pipe:
        assert pipe.readline() == "here\n"
        parent.kill()
        # The end of the pipe is the end of the process that held it open.
        assert pipe.read() == ""
    parent.wait()
