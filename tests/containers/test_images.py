"""What the images hold and what they do not."""

from typing import Any

import pytest
from docker import DockerClient
from docker.models.images import Image

import lentigo_inference
from tests.containers.conftest import FULL, SLIM, TRAINER
from tests.containers.watching import ended, only_line

MEBIBYTE = 2**20

# Runs in a container: what of this can be found there.
LOOK = """
import importlib.util as find, os, shutil
print(os.getuid(), os.getgid())
print(*[name for name in ("cc", "gcc", "ld", "make", "git") if shutil.which(name)])
print(*[name for name in ("pip", "hatchling", "tensorflow", "pytest") if find.find_spec(name)])
leftovers = "/root/.cache", "/wheels", "/source", "/requirements", "/certificates.pem"
print(*[path for path in leftovers if os.path.exists(path)])
"""


@pytest.fixture(params=[SLIM, FULL, TRAINER])
def image(images: DockerClient, request: pytest.FixtureRequest) -> Image:
    return images.images.get(request.param)


def said(engine: DockerClient, image: str, script: str) -> list[str]:
    output: bytes = engine.containers.run(
        image, ["-c", script], entrypoint="/opt/lentigo/bin/python", read_only=True, remove=True
    )
    return output.decode().splitlines()


def configuration(image: Image) -> dict[str, Any]:
    found: dict[str, Any] = image.attrs["Config"]
    return found


def test_slim_is_small(images: DockerClient) -> None:
    slim, full = (images.images.get(name).attrs["Size"] for name in (SLIM, FULL))
    assert slim <= 350_000_000
    assert slim / full <= 0.3


def test_an_image_runs_as_a_fixed_user_and_tells_its_version(image: Image) -> None:
    told = configuration(image)
    assert told["User"] == "10001:10001"
    assert told["StopSignal"] in {"SIGTERM", "SIGINT"}
    assert told["Entrypoint"][0].startswith("/opt/lentigo/bin/lentigo-")
    labels = told["Labels"]
    assert labels["org.opencontainers.image.version"] == lentigo_inference.__version__
    assert labels["org.opencontainers.image.revision"]
    assert "Not a medical device" in labels["org.opencontainers.image.description"]


def test_an_image_has_no_tools_and_no_leftovers(images: DockerClient, image: Image) -> None:
    user, tools, packages, leftovers = said(images, image.id, LOOK)
    assert user == "10001 10001"
    assert tools == ""
    assert packages == ("" if SLIM in image.tags else "tensorflow")
    assert leftovers == ""


def test_what_a_mirror_needs_is_in_no_layer_that_ships(image: Image) -> None:
    history = "\n".join(layer["CreatedBy"] for layer in image.history())
    assert "PIP_INDEX_URL" not in history
    assert "CERTIFICATE" not in history


@pytest.mark.parametrize(("name", "memory"), [(SLIM, 128), (FULL, 128)])
def test_a_service_with_too_little_memory_says_so(
    images: DockerClient, name: str, memory: int
) -> None:
    container = images.containers.run(name, mem_limit=memory * MEBIBYTE, detach=True)
    try:
        line = only_line(*ended(container), exit_code=2)
    finally:
        container.remove(force=True)
    assert f"this container may use {memory}" in line


def test_a_service_that_anybody_could_reach_wants_keys(images: DockerClient) -> None:
    container = images.containers.run(SLIM, detach=True)
    try:
        line = only_line(*ended(container), exit_code=2)
    finally:
        container.remove(force=True)
    assert "LENTIGO_KEY_FILE" in line
