"""From made-up images to a version that the running service takes up, and what may go wrong."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from docker.models.containers import Container

from tests.containers.compose import Project, Run
from tests.containers.conftest import SLIM, TRAINER
from tests.containers.steady_load import Answers, steady_load
from tests.containers.watching import ended, logged, only_line, wait_for_line

TRAIN = ("--source", "/data", "--limit", "50", "--epochs", "1", "--random-weights")

# Publishes, and halts halfway through the files of the version until it is killed.
HALT_HALFWAY = """
import signal, sys
from lentigo_trainer.cli.main import main

def halt(event, arguments):
    if event == "open" and "/.staging-" in str(arguments[0]) and "saved_model" in str(arguments[0]):
        print("halfway", flush=True)
        signal.pause()

sys.addaudithook(halt)
sys.argv = ["lentigo-train", "publish", "--force"]
main()
"""


@dataclass(frozen=True)
class Swap:
    """What was seen while version 2 was trained and published."""

    fitted: Run
    published: Run
    answers: Answers


@pytest.fixture(scope="module")
def swap(running: Project, ham10000: Path) -> Swap:
    container = running.container()
    logged(container, "model in use", version=1)
    fitted = running.trainer("fit", *TRAIN, LENTIGO_SOURCE=str(ham10000))
    assert fitted.returncode == 0, fitted.stderr
    with steady_load(running.url) as answers:
        answers.wait_for("1", 20)
        published = running.trainer("publish", "--force", LENTIGO_SOURCE=str(ham10000))
        logged(container, "model in use", version=2)
        answers.wait_for("2", 20)
    return Swap(fitted, published, answers)


def versions(project: Project) -> list[str]:
    return sorted(
        entry["version"]
        for entry in httpx.post(f"{project.url}/v2/repository/index", timeout=60).json()
    )


def told_by_the_trainer(run: Run) -> list[str]:
    """Its lines on standard error, where Compose says things too."""
    lines = run.stderr.splitlines()
    assert not any("Traceback" in line for line in lines), lines
    return [line for line in lines if line.startswith("lentigo-train: ")]


def listing(project: Project, *arguments: str) -> str:
    """What lies in the models' volume, as the service sees it."""
    code, output = project.container().exec_run(["find", "/models", *arguments])
    assert code == 0, output
    found: str = output.decode()
    return found


@contextmanager
def trainer(project: Project, *command: str, **options: Any) -> Iterator[Container]:
    """A container of the trainer's that can be watched and killed."""
    container = project.docker.containers.run(
        TRAINER,
        list(command),
        name=f"{project.name}-{uuid.uuid4().hex[:8]}",
        detach=True,
        read_only=True,
        cap_drop=["ALL"],
        tmpfs={"/tmp": "size=64m,mode=1777"},  # noqa: S108 - the container's
        volumes={
            project.models.name: {"bind": "/models", "mode": "rw"},
            project.work.name: {"bind": "/work", "mode": "rw"},
            **options.pop("volumes", {}),
        },
        **options,
    )
    try:
        yield container
    finally:
        container.remove(force=True)


def test_training_publishes_the_next_version(swap: Swap) -> None:
    assert swap.published.returncode == 0, swap.published.stderr
    assert "Published version 2" in swap.published.stdout
    assert "Not a medical device" in swap.fitted.stdout


def test_nobody_notices_the_swap(swap: Swap) -> None:
    """Twenty requests a second, answered by version 1, then by version 2, and by nothing else."""
    assert set(swap.answers.counts) == {"1", "2"}


def test_the_volume_holds_both_versions_whole(running: Project, swap: Swap) -> None:
    assert swap.published.returncode == 0
    index = httpx.post(f"{running.url}/v2/repository/index", timeout=60).json()
    assert {entry["version"]: entry["reason"] for entry in index} == {
        "1": "Version 2 is in use.",
        "2": "In use, although its publication was forced: It was trained with --limit 50.",
    }


def test_a_quick_run_does_not_replace_the_model_in_use(running: Project, swap: Swap) -> None:
    assert swap.published.returncode == 0
    before = versions(running)
    with trainer(running, "publish") as refused:
        line = only_line(*ended(refused), exit_code=3)
    assert "It was trained with --limit 50." in line
    assert "--force" in line
    assert versions(running) == before


def test_a_publisher_killed_midway_leaves_nothing_that_anybody_sees(
    running: Project, swap: Swap
) -> None:
    assert swap.published.returncode == 0
    before = listing(running, "-not", "-path", "*/.staging-*", "-type", "f")
    python = "/opt/lentigo/bin/python"
    with trainer(running, "-c", HALT_HALFWAY, entrypoint=python) as publisher:
        wait_for_line(publisher, "halfway")
        publisher.kill("SIGKILL")
        assert publisher.wait()["StatusCode"] == 137
    assert ".staging-" in listing(running)
    assert listing(running, "-not", "-path", "*/.staging-*", "-type", "f") == before
    assert httpx.get(f"{running.url}/v2/health/ready", timeout=60).status_code == 200
    # The next one clears what is left and gets the number that was not taken.
    with trainer(running, "publish", "--force") as publisher:
        code, said = ended(publisher)
    assert code == 0, said
    assert "Published version 3" in said[-1]
    assert ".staging-" not in listing(running)
    logged(running.container(), "model in use", version=3)


def test_a_full_volume_is_one_line_and_the_service_goes_on(
    running: Project, swap: Swap, shipped: Path
) -> None:
    assert swap.published.returncode == 0
    name = f"{running.name}-full"
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=48m,uid=10001,gid=10001"}
    small = running.docker.volumes.create(name, driver_opts=options)
    service = running.docker.containers.run(
        SLIM,
        detach=True,
        read_only=True,
        # A volume in memory is there for as long as a container holds it.
        volumes={name: {"bind": "/models", "mode": "ro"}},
        environment={"LENTIGO_PUBLISHED_ADDRESS": "127.0.0.1"},
    )
    try:
        logged(service, "listening")
        here = {name: {"bind": "/models", "mode": "rw"}}
        running.docker.containers.run(
            SLIM,
            ["seed", "/shipped"],
            remove=True,
            volumes={**here, str(shipped): {"bind": "/shipped", "mode": "ro"}},
        )
        logged(service, "model in use", version=1)
        before = service.exec_run(["find", "/models"]).output
        other = {name: {"bind": "/full", "mode": "rw"}}
        with trainer(
            running, "publish", "--force", "--models", "/full", volumes=other
        ) as publisher:
            line = only_line(*ended(publisher), exit_code=1)
        assert "No space left on device" in line
        assert service.exec_run(["find", "/models"]).output == before
    finally:
        service.remove(force=True)
        small.remove(force=True)


def test_a_volume_that_may_not_be_written_is_one_line(running: Project, swap: Swap) -> None:
    assert swap.published.returncode == 0
    before = versions(running)
    with trainer(running, "publish", "--force", "--models", "/elsewhere/models") as publisher:
        line = only_line(*ended(publisher), exit_code=1)
    assert "/elsewhere" in line
    assert versions(running) == before


def test_an_empty_folder_is_one_line_and_publishes_nothing(
    running: Project, readable_folder: Path
) -> None:
    before = versions(running)
    empty = readable_folder / "empty"
    empty.mkdir()
    failed = running.trainer("run", *TRAIN, LENTIGO_SOURCE=str(empty))
    assert failed.returncode == 1
    (line,) = told_by_the_trainer(failed)
    assert "/data has no HAM10000_metadata.csv" in line
    assert versions(running) == before


def test_too_little_memory_is_one_line_and_publishes_nothing(
    running: Project, ham10000: Path
) -> None:
    before = versions(running)
    failed = running.trainer(
        "run", *TRAIN, LENTIGO_SOURCE=str(ham10000), LENTIGO_TRAINER_MEMORY="512m"
    )
    assert failed.returncode == 1
    (line,) = told_by_the_trainer(failed)
    assert "this container may use 512" in line
    assert versions(running) == before
