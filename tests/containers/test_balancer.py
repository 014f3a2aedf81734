"""Three replicas behind nginx, as docs/how-to/balance.md has them, under load all the time."""

import logging
import re
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from docker import DockerClient
from docker.models.containers import Container
from docker.models.volumes import Volume

from tests.containers.compose import ROOT
from tests.containers.conftest import SLIM
from tests.containers.steady_load import Answers, steady_load
from tests.containers.watching import DEADLINE_S, logged
from tests.nginx_conf import AROUND
from tests.ports import free_port

pytestmark = pytest.mark.skipif(
    shutil.which("nginx") is None, reason="nginx is not installed (Debian: nginx-light)"
)

LOG = logging.getLogger(__name__)

# Shorter than in the example, so that a replica that hangs does not take 15 s of the test.
READ_TIMEOUT_S = 3


# Runs in a container: publishes what version 1 is as the next version.
PUBLISH_AGAIN = """
import shutil
from pathlib import Path
from lentigo_contract.repository.store import ModelStore
store = ModelStore(Path("/models"))
first = store.open(1)
def fill(staging):
    for name in first.manifest.files:
        (staging / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(first.path / name, staging / name)
    return first.manifest
store.publish(fill)
"""


class Replica:
    """One of the containers, always on the same port of this machine."""

    def __init__(self, engine: DockerClient, models: Volume) -> None:
        self._engine, self._models = engine, models
        self.port = free_port()
        self.container = self._run()

    def _run(self) -> Container:
        return self._engine.containers.run(
            SLIM,
            detach=True,
            read_only=True,
            init=True,
            cap_drop=["ALL"],
            ports={"8000/tcp": ("127.0.0.1", self.port)},
            volumes={self._models.name: {"bind": "/models", "mode": "ro"}},
            environment={
                "LENTIGO_PUBLISHED_ADDRESS": "127.0.0.1",
                "LENTIGO_RELOAD_INTERVAL_S": "1",
                "LENTIGO_REQUEST_TIMEOUT_S": "10",
                # nginx asks nobody whether he is ready, so that there is nothing to wait for.
                "LENTIGO_DRAIN_S": "1",
            },
        )

    def replace(self) -> None:
        """Stop it as an upgrade does, and start another in its place."""
        self.container.stop(timeout=60)
        assert self.container.wait()["StatusCode"] == 0
        self.container.remove()
        self.container = self._run()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        logged(self.container, "model in use")
        wait_for(lambda: ready(f"http://127.0.0.1:{self.port}"), "ready")


def ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/v2/health/ready", timeout=10).status_code == 200
    except httpx.HTTPError:
        return False


def wait_for(condition: Callable[[], bool], what: str) -> None:
    ends_at = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < ends_at, f"not {what} in {DEADLINE_S:.0f} s"


@pytest.fixture(scope="module")
def models(images: DockerClient, shipped: Path) -> Iterator[Volume]:
    """A volume with the shipped version."""
    volume = images.volumes.create(f"lentigo-test-{uuid.uuid4().hex[:8]}")
    in_container(images, volume, ["seed", "/shipped"], shipped=shipped)
    try:
        yield volume
    finally:
        volume.remove(force=True)


def in_container(
    engine: DockerClient,
    models: Volume,
    command: list[str],
    *,
    entrypoint: str | None = None,
    shipped: Path | None = None,
) -> None:
    volumes = {models.name: {"bind": "/models", "mode": "rw"}}
    if shipped is not None:
        volumes[str(shipped)] = {"bind": "/shipped", "mode": "ro"}
    engine.containers.run(SLIM, command, entrypoint=entrypoint, volumes=volumes, remove=True)


@pytest.fixture(scope="module")
def replicas(images: DockerClient, models: Volume) -> Iterator[list[Replica]]:
    started = [Replica(images, models) for _ in range(3)]
    try:
        for replica in started:
            replica.wait_until_ready()
        yield started
    finally:
        for replica in started:
            replica.container.remove(force=True)


@pytest.fixture(scope="module")
def balancer(replicas: list[Replica]) -> Iterator[str]:
    with running_nginx(replicas) as address:
        yield address


@contextmanager
def running_nginx(replicas: list[Replica]) -> Iterator[str]:
    """Run the example in front of the replicas, without TLS, and give its address."""
    port = free_port()
    example = (ROOT / "deploy/nginx/lentigo-balancer.conf").read_text()
    example = re.sub(r"^ *(ssl_|add_header Strict).*\n", "", example, flags=re.MULTILINE)
    adapted = {
        "listen 443 ssl;": f"listen 127.0.0.1:{port};\n    add_header X-Upstream $upstream_addr;",
        "server_name lentigo.example;": "server_name localhost;",
        "proxy_read_timeout 15s;": f"proxy_read_timeout {READ_TIMEOUT_S}s;",
        **{
            f"server 10.0.0.1{number}:8000": f"server 127.0.0.1:{replica.port}"
            for number, replica in enumerate(replicas, 1)
        },
    }
    for place, here in adapted.items():
        assert place in example
        example = example.replace(place, here)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # nginx gives up its rights to a user who must reach its folders.
        folder.chmod(0o755)
        (folder / "lentigo.conf").write_text(example)
        (folder / "nginx.conf").write_text(AROUND.format(folder=folder))
        nginx = ["nginx", "-p", name, "-c", f"{name}/nginx.conf"]
        # It goes into the background once it listens.
        started = subprocess.run(nginx, capture_output=True, text=True, check=False)
        assert started.returncode == 0, started.stderr
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            subprocess.run([*nginx, "-s", "stop"], check=True, capture_output=True)


def more(answers: Answers, version: str, count: int = 40) -> None:
    """Wait for so many more answers by a version: two seconds' worth, by default."""
    answers.wait_for(version, answers.counts[version] + count)


def tell(answers: Answers) -> None:
    """Log what came; --log-cli-level=INFO shows it."""
    LOG.info(
        "%s, retried %d, slowest %.2f s",
        dict(answers.counts),
        answers.retried,
        answers.slowest_s,
    )


def test_a_rolling_upgrade_fails_no_request(balancer: str, replicas: list[Replica]) -> None:
    with steady_load(balancer) as answers:
        more(answers, "1")
        for replica in replicas:
            replica.replace()
        more(answers, "1")
    tell(answers)
    assert set(answers.counts) == {"1"}


def test_a_killed_replica_fails_no_request(balancer: str, replicas: list[Replica]) -> None:
    killed = replicas[0].container
    with steady_load(balancer) as answers:
        more(answers, "1")
        killed.kill("SIGKILL")
        assert killed.wait()["StatusCode"] == 137
        more(answers, "1")
        killed.start()
        wait_for(lambda: ready(f"http://127.0.0.1:{replicas[0].port}"), "ready again")
        more(answers, "1")
    tell(answers)
    assert answers.retried > 0
    assert set(answers.counts) == {"1"}


def test_a_replica_that_hangs_delays_requests_and_fails_none(
    balancer: str, replicas: list[Replica]
) -> None:
    hanging = replicas[1].container
    with steady_load(balancer) as answers:
        more(answers, "1")
        hanging.pause()
        try:
            more(answers, "1", 120)
        finally:
            hanging.unpause()
        more(answers, "1")
    tell(answers)
    assert answers.retried > 0
    assert answers.slowest_s >= READ_TIMEOUT_S
    assert set(answers.counts) == {"1"}
    # Most were asked of the other two: what hangs gets no more than they have under way.
    assert answers.retried < sum(answers.counts.values()) / 3


def test_a_version_published_on_the_volume_is_taken_up_and_fails_no_request(
    balancer: str,
    replicas: list[Replica],
    images: DockerClient,
    models: Volume,
) -> None:
    with steady_load(balancer) as answers:
        more(answers, "1")
        in_container(images, models, ["-c", PUBLISH_AGAIN], entrypoint="/opt/lentigo/bin/python")
        for replica in replicas:
            logged(replica.container, "model in use", version=2)
        more(answers, "2")
    tell(answers)
    assert set(answers.counts) == {"1", "2"}


def test_without_any_replica_the_answer_is_an_honest_503(
    balancer: str, replicas: list[Replica]
) -> None:
    for replica in replicas:
        replica.container.kill("SIGKILL")
        replica.container.wait()
    answer = httpx.post(f"{balancer}/v1/predictions", content=b"", timeout=60)
    assert answer.status_code == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Retry-After"] == "1"
    assert answer.json()["status"] == 503
