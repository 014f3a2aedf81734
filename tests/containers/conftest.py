"""The engine, the images and the data that the containers' tests share."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker import DockerClient
from docker.errors import DockerException

import lentigo_inference
from tests.containers.compose import ROOT, Project, project
from tests.containers.watching import DEADLINE_S
from tests.fakes import synthetic_ham10000

_VERSION = lentigo_inference.__version__
FULL = f"lentigo-inference:{_VERSION}"
SLIM = f"lentigo-inference:{_VERSION}-slim"
TRAINER = f"lentigo-trainer:{_VERSION}"

# What an operator writes into .env for the service without TensorFlow.
SLIM_SETTINGS = {"LENTIGO_IMAGE": SLIM, "LENTIGO_TARGET": "slim"}


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerClient]:
    try:
        client = docker.from_env(timeout=int(DEADLINE_S))
    except DockerException as error:
        pytest.skip(f"no Docker engine answers: {error}")
    try:
        yield client
    finally:
        client.close()


@pytest.fixture(scope="session")
def images(engine: DockerClient) -> DockerClient:
    """The engine with this source's images: of the service, of the service without TensorFlow, of
    the trainer."""
    builder = Project(engine)
    for arguments, settings in (
        (("build", "inference"), SLIM_SETTINGS),
        (("build", "inference"), {}),
        (("--profile", "train", "build", "trainer"), {}),
    ):
        built = builder.compose(*arguments, **settings)
        assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    return engine


@pytest.fixture(scope="module")
def running(images: DockerClient) -> Iterator[Project]:
    """A project whose service runs with the shipped model."""
    with project(images) as started:
        started.up()
        yield started


@pytest.fixture(scope="session")
def readable_folder() -> Iterator[Path]:
    """A folder that a container's user may read; pytest's own are for the tests' user alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="session")
def ham10000(readable_folder: Path) -> Path:
    """A made-up HAM10000 with seven learnable classes, archives and metadata in the real layout."""
    # As many of each as the recipe needs, which holds some lesions of each class back.
    return synthetic_ham10000(readable_folder / "ham10000", 12)


@pytest.fixture(scope="session")
def shipped() -> Path:
    return ROOT / "models"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give a first build, which downloads packages, the time it takes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(int(os.environ.get("SMOKE_TIMEOUT_S", "1800"))))
