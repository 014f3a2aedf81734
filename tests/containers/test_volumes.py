"""Volumes that are full, not ours, or not to be written."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from docker import DockerClient
from docker.models.containers import Container
from docker.models.volumes import Volume

from tests.containers.compose import project
from tests.containers.conftest import SLIM, SLIM_SETTINGS
from tests.containers.watching import ended, logged, only_line
from tests.ports import free_port


@pytest.fixture
def volume(images: DockerClient) -> Iterator[Volume]:
    made = images.volumes.create(f"lentigo-test-{uuid.uuid4().hex[:8]}")
    try:
        yield made
    finally:
        made.remove(force=True)


def mounted(volume: Volume, mode: str) -> dict[str, dict[str, str]]:
    return {volume.name: {"bind": "/models", "mode": mode}}


def as_root(engine: DockerClient, volume: Volume, script: str) -> str:
    """Run a shell in a container that may do everything to the volume."""
    output: bytes = engine.containers.run(
        SLIM,
        ["-c", script],
        entrypoint="/bin/sh",
        user="0",
        remove=True,
        volumes=mounted(volume, "rw"),
    )
    return output.decode()


def contents(engine: DockerClient, volume: Volume) -> str:
    return as_root(engine, volume, "cd /models && find . -exec ls -ldn --time-style=full-iso {} +")


@contextmanager
def started(engine: DockerClient, *command: str, **options: Any) -> Iterator[Container]:
    container = engine.containers.run(
        SLIM, list(command), detach=True, read_only=True, cap_drop=["ALL"], init=True, **options
    )
    try:
        yield container
    finally:
        container.remove(force=True)


def seed(engine: DockerClient, volume: Volume, shipped: Path) -> tuple[int, list[str]]:
    volumes = {**mounted(volume, "rw"), str(shipped): {"bind": "/shipped", "mode": "ro"}}
    with started(engine, "seed", "/shipped", volumes=volumes) as container:
        return ended(container)


@contextmanager
def serving(engine: DockerClient, volume: Volume) -> Iterator[tuple[Container, str]]:
    port = free_port()
    with started(
        engine,
        volumes=mounted(volume, "ro"),
        ports={"8000/tcp": ("127.0.0.1", port)},
        environment={"LENTIGO_PUBLISHED_ADDRESS": "127.0.0.1"},
    ) as container:
        logged(container, "listening")
        yield container, f"http://127.0.0.1:{port}"


def test_a_fresh_volume_is_seeded_and_belongs_to_the_service_s_user(
    images: DockerClient, volume: Volume, shipped: Path
) -> None:
    code, _ = seed(images, volume, shipped)
    assert code == 0
    assert as_root(images, volume, "stat -c %u:%g /models /models/lentigo/1").split() == [
        "10001:10001",
        "10001:10001",
    ]


def test_an_unwritable_volume_is_one_line_and_stays_as_it_was(
    images: DockerClient, volume: Volume, shipped: Path
) -> None:
    as_root(images, volume, "mkdir /models/lost+found && chown 0:0 /models && chmod 755 /models")
    before = contents(images, volume)
    line = only_line(*seed(images, volume, shipped), exit_code=1)
    assert "/models" in line
    assert "Permission denied" in line
    assert contents(images, volume) == before


def test_make_up_says_that_the_volume_cannot_be_written(images: DockerClient) -> None:
    with project(images, **SLIM_SETTINGS) as refused:
        volume = images.volumes.create(
            f"{refused.name}_models",
            labels={
                "com.docker.compose.project": refused.name,
                "com.docker.compose.volume": "models",
            },
        )
        as_root(images, volume, "mkdir /models/lost+found && chown 0:0 /models")
        started = refused.run("deploy/up.sh")
        assert started.returncode == 1
        assert "Permission denied" in started.stderr.splitlines()[-1]
        assert as_root(images, volume, "ls /models").split() == ["lost+found"]


def test_an_unwritable_volume_with_a_model_is_served(
    images: DockerClient, volume: Volume, shipped: Path
) -> None:
    seed(images, volume, shipped)
    as_root(images, volume, "chown -R 4242:4242 /models && chmod -R a-w /models")
    code, said = seed(images, volume, shipped)
    assert code == 0, said
    with serving(images, volume) as (container, url):
        logged(container, "model in use", version=1)
        assert httpx.get(f"{url}/v2/health/ready", timeout=60).status_code == 200


def test_a_volume_that_may_not_be_read_is_told_and_taken_up_once_it_may(
    images: DockerClient, volume: Volume, shipped: Path
) -> None:
    seed(images, volume, shipped)
    as_root(images, volume, "chown -R 4242:4242 /models && chmod 700 /models/lentigo")
    with serving(images, volume) as (container, url):
        told = logged(container, "model repository unreadable")
        assert "/models/lentigo" in told["reason"]
        assert httpx.get(f"{url}/v2/health/live", timeout=60).status_code == 200
        assert httpx.get(f"{url}/v2/health/ready", timeout=60).status_code == 503
        as_root(images, volume, "chmod 755 /models/lentigo")
        logged(container, "model in use", version=1)
        assert httpx.get(f"{url}/v2/health/ready", timeout=60).status_code == 200
