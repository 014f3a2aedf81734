"""The project as an operator runs it, with a name and a port of its own."""

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from docker import DockerClient
from docker.models.containers import Container
from docker.models.volumes import Volume

from tests.ports import free_port

ROOT: Final = Path(__file__).parents[2]

Run = subprocess.CompletedProcess[str]


def compose_command() -> list[str]:
    """Give what starts Compose here: what `make` found, version 2, or version 1."""
    told = os.environ.get("COMPOSE", "").split()
    if told:
        return told
    probe = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return ["docker", "compose"] if probe.returncode == 0 else ["docker-compose"]


class Project:
    """One project of Compose; `settings` are what its operator would write into `.env`."""

    def __init__(self, docker: DockerClient, **settings: str) -> None:
        self.docker = docker
        self.name = f"lentigo-test-{uuid.uuid4().hex[:8]}"
        self.settings = {"LENTIGO_PORT": str(free_port()), **settings}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings['LENTIGO_PORT']}"

    @property
    def models(self) -> Volume:
        return self.docker.volumes.get(f"{self.name}_models")

    @property
    def work(self) -> Volume:
        return self.docker.volumes.get(f"{self.name}_work")

    def run(self, *command: str | Path, **settings: str) -> Run:
        """Run a command with the operator's settings, and none of whoever runs the tests."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("LENTIGO_", "MAKE"))
        }
        environment |= {"COMPOSE_PROJECT_NAME": self.name, "COMPOSE": " ".join(compose_command())}
        return subprocess.run(
            [str(part) for part in command],
            cwd=ROOT,
            env=environment | self.settings | settings,
            capture_output=True,
            text=True,
            check=False,
        )

    def compose(self, *arguments: str, **settings: str) -> Run:
        return self.run(*compose_command(), *arguments, **settings)

    def up(self) -> None:
        """Start the service from images that are there."""
        started = self.compose("up", "--detach", "--no-build", "inference")
        assert started.returncode == 0, started.stderr

    def trainer(self, *arguments: str, **settings: str) -> Run:
        """Run a command of the trainer, as `make train-container` does."""
        command = ("--profile", "train", "run", "-T", "--rm", "trainer", *arguments)
        return self.compose(*command, **settings)

    def container(self, service: str = "inference") -> Container:
        labels = [
            f"com.docker.compose.project={self.name}",
            f"com.docker.compose.service={service}",
        ]
        (container,) = self.docker.containers.list(all=True, filters={"label": labels})
        return container

    def containers(self) -> list[Container]:
        label = f"com.docker.compose.project={self.name}"
        found: list[Container] = self.docker.containers.list(all=True, filters={"label": label})
        return found


@contextmanager
def project(docker: DockerClient, **settings: str) -> Iterator[Project]:
    """Give a project, and leave nothing of it behind."""
    made = Project(docker, **settings)
    try:
        yield made
    finally:
        profiles = ("--profile", "train", "--profile", "keys", "--profile", "hospital")
        made.compose(*profiles, "down", "--volumes", "--remove-orphans")
