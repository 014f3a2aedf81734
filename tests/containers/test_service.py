"""The service under Compose: what it is allowed, what survives, and who is asked for a key."""

import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from docker import DockerClient

from tests.containers.compose import Project, project
from tests.containers.conftest import SLIM_SETTINGS
from tests.containers.watching import logged
from tests.fakes import jpeg_bytes

IMAGE = jpeg_bytes()


def asked(project: Project, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{project.url}/v1/predictions", files={"image": IMAGE}, headers=headers, timeout=60
    )


def answer(project: Project) -> dict[str, Any]:
    response = asked(project)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def test_it_answers_with_the_shipped_model(running: Project) -> None:
    logged(running.container(), "model in use", version=1)
    found = answer(running)["model"]
    assert found.pop("engine") in {"litert", "litert-int8", "savedmodel"}
    assert re.fullmatch("[0-9a-f]{64}", found.pop("digest"))
    assert found == {"name": "lentigo", "version": "1", "architecture": "efficientnet_lite0"}


def test_it_can_change_nothing(running: Project) -> None:
    told = running.container().attrs["HostConfig"]
    assert told["ReadonlyRootfs"] is True
    assert told["CapDrop"] == ["ALL"]
    assert told["SecurityOpt"] == ["no-new-privileges:true"]
    assert told["Memory"] == 2 * 2**30
    assert told["NanoCpus"] == 2 * 10**9
    assert told["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "5"}
    # In memory, for the copy of a SavedModel while it is loaded.
    assert told["Tmpfs"] == {"/tmp": "size=64m,mode=1777"}  # noqa: S108 - the container's
    for folder in ("/models", "/opt/lentigo", "/var/tmp"):  # noqa: S108 - the container's
        script = f"open('{folder}/x', 'w')"
        code, _ = running.container().exec_run(["/opt/lentigo/bin/python", "-c", script])
        assert code == 1, folder


def test_a_second_seed_leaves_the_volume_as_it_is(running: Project) -> None:
    again = running.compose("run", "-T", "--rm", "seed", "seed", "/shipped")
    assert again.returncode == 0, again.stderr
    assert "left as it is" in again.stdout


def test_a_restarted_container_answers_the_same(running: Project) -> None:
    before = answer(running)
    container = running.container()
    restarted_at = time.time()
    container.restart()
    logged(container, "model in use", since=restarted_at)
    after = answer(running)
    for same in ("model", "image", "probabilities"):
        assert after[same] == before[same]


def test_down_leaves_no_container_and_the_volume(images: DockerClient) -> None:
    with project(images, **SLIM_SETTINGS) as stopped:
        stopped.up()
        logged(stopped.container(), "model in use")
        down = stopped.run("make", "--silent", "down")
        assert down.returncode == 0, down.stderr
        assert stopped.containers() == []
        assert stopped.models.name
        stopped.up()
        assert "left as it is" in stopped.container("seed").logs().decode()
        logged(stopped.container(), "model in use", version=1)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_a_port_that_is_taken_is_told(images: DockerClient, taken_port: int) -> None:
    with project(images, LENTIGO_PORT=str(taken_port), **SLIM_SETTINGS) as refused:
        started = refused.run("deploy/up.sh")
        assert started.returncode == 1
        assert started.stderr.splitlines()[-1] == (
            "make up: the port is taken. Stop what uses it, or set LENTIGO_PORT to another."
        )


def test_an_engine_that_is_not_running_is_one_line(engine: DockerClient) -> None:
    nobody = Project(engine, DOCKER_HOST="unix:///nowhere/docker.sock")
    for target in ("up", "down", "logs", "smoke"):
        started = nobody.run("make", "--silent", target)
        assert started.returncode == 2
        assert started.stderr.splitlines()[0].startswith("No Docker engine answers")


@pytest.fixture
def keys_folder(readable_folder: Path) -> Path:
    folder = readable_folder / "keys"
    folder.mkdir(mode=0o700)
    os.chown(folder, 10001, 10001)
    return folder


def with_keys(folder: Path) -> dict[str, str]:
    return {
        "COMPOSE_FILE": "docker-compose.yml:docker-compose.keys.yml",
        "LENTIGO_KEYS": str(folder),
        **SLIM_SETTINGS,
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to the containers' user")
def test_keys_are_made_asked_for_and_rotated_without_a_restart(
    images: DockerClient, keys_folder: Path
) -> None:
    def make_key(name: str) -> str:
        made = guarded.compose("run", "-T", "--rm", "keys", "add", name, "--scope", "predict")
        assert made.returncode == 0, made.stderr
        return made.stdout.split()[-1]

    with project(images, **with_keys(keys_folder)) as guarded:
        old = make_key("ward-7")
        guarded.up()
        container = guarded.container()
        logged(container, "model in use")
        assert asked(guarded).status_code == 401
        assert asked(guarded, authorization=f"Bearer {old}").status_code == 200
        new = make_key("ward-8")
        logged(container, "key file read", keys=2)
        assert asked(guarded, authorization=f"Bearer {new}").status_code == 200
        before = time.time()
        removed = guarded.compose("run", "-T", "--rm", "keys", "remove", "ward-7")
        assert removed.returncode == 0, removed.stderr
        logged(container, "key file read", since=before, keys=1)
        assert asked(guarded, authorization=f"Bearer {old}").status_code == 401
        assert asked(guarded, authorization=f"Bearer {new}").status_code == 200


def test_a_missing_secret_is_told_and_nothing_is_served(
    images: DockerClient, readable_folder: Path
) -> None:
    with project(images, **with_keys(readable_folder / "none")) as keyless:
        started = keyless.run("deploy/up.sh")
        assert started.returncode == 1
        assert str(readable_folder / "none") in started.stderr or "keys.json" in started.stderr
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{keyless.url}/v2/health/live")
