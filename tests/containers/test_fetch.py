"""What a pod of the Helm chart does before its service starts, with its image."""

import shutil
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import DockerClient
from docker.models.containers import Container

from lentigo_trainer.export.signing import read_model_signer, sign_version
from tests.containers.conftest import SLIM
from tests.containers.watching import ended
from tests.keys import Pair, make_pair


@pytest.fixture(scope="module")
def offered(readable_folder: Path, shipped: Path) -> Path:
    """A folder with an archive of the shipped version, signed, and the public key."""
    folder = readable_folder / "offered"
    pair: Pair = make_pair(folder)
    newest = max((shipped / "lentigo").iterdir(), key=lambda path: int(path.name))
    version = readable_folder / newest.name
    shutil.copytree(newest, version)
    sign_version(version, read_model_signer(pair.private))
    with tarfile.open(folder / "version.tar.gz", "w:gz", compresslevel=1) as tar:
        tar.add(version, arcname=version.name)
    return folder


@pytest.fixture(scope="module")
def server(images: DockerClient, offered: Path) -> Iterator[Container]:
    """Serves that folder to other containers."""
    container = images.containers.run(
        SLIM,
        ["-m", "http.server", "8080", "--directory", "/offered"],
        entrypoint="/opt/lentigo/bin/python",
        detach=True,
        volumes={str(offered): {"bind": "/offered", "mode": "ro"}},
    )
    try:
        yield container
    finally:
        container.remove(force=True)


def test_a_signed_version_is_fetched_within_the_limits_of_a_pod(
    images: DockerClient, server: Container, offered: Path
) -> None:
    name = f"lentigo-test-{uuid.uuid4().hex[:8]}"
    volume = images.volumes.create(name)
    try:
        for _ in range(2):
            container = images.containers.run(
                SLIM,
                ["fetch", "http://server:8080/version.tar.gz"],
                detach=True,
                read_only=True,
                cap_drop=["ALL"],
                mem_limit="512m",
                links={server.name: "server"},
                environment={"LENTIGO_MODEL_KEY": "/offered/model.pub"},
                volumes={
                    name: {"bind": "/models", "mode": "rw"},
                    str(offered / "model.pub"): {"bind": "/offered/model.pub", "mode": "ro"},
                },
            )
            try:
                code, said = ended(container)
            finally:
                container.remove(force=True)
            assert code == 0, said
            assert said[-1].endswith("its signature is good.")
    finally:
        volume.remove(force=True)


def test_a_private_key_is_copied_for_the_user_of_the_service(
    images: DockerClient, readable_folder: Path
) -> None:
    """As `lentigo.privateKey` of the chart does with a file that root owns and the group reads."""
    (readable_folder / "audit.key").write_text("made up")
    script = (
        "chgrp 10001 /from/audit.key && chmod 0440 /from/audit.key && chown 10001 /to && "
        "setpriv --reuid 10001 --regid 10001 --clear-groups "
        "install --mode=0400 /from/audit.key /to/audit.key && stat -c '%a %u' /to/audit.key"
    )
    told: bytes = images.containers.run(
        SLIM,
        ["-c", script],
        entrypoint="/bin/sh",
        user="0",
        remove=True,
        tmpfs={"/to": ""},
        volumes={str(readable_folder): {"bind": "/from", "mode": "rw"}},
    )
    assert told.decode().split() == ["400", "10001"]
