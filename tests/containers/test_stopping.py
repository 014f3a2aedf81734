"""A service that is stopped while its queue is full."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

import httpx
import pytest
from docker import DockerClient
from docker.models.containers import Container

from tests.containers.conftest import SLIM
from tests.containers.watching import logged
from tests.fakes import jpeg_bytes, lesion_image
from tests.ports import free_port

PENDING = 24
ASKED = 40


@pytest.fixture
def service(images: DockerClient, shipped: Path) -> Iterator[tuple[Container, str]]:
    """A slow service, on half a core, that takes few requests."""
    port = free_port()
    container = images.containers.run(
        SLIM,
        detach=True,
        read_only=True,
        init=True,
        nano_cpus=500_000_000,
        ports={"8000/tcp": ("127.0.0.1", port)},
        volumes={str(shipped): {"bind": "/models", "mode": "ro"}},
        environment={
            "LENTIGO_ALLOW_ANONYMOUS": "true",
            "LENTIGO_MAX_PENDING": str(PENDING),
            "LENTIGO_REQUEST_TIMEOUT_S": "120",
            "LENTIGO_SHUTDOWN_GRACE_S": "120",
        },
    )
    try:
        logged(container, "model in use")
        yield container, f"http://127.0.0.1:{port}"
    finally:
        container.remove(force=True)


def test_what_was_accepted_is_answered_and_the_rest_is_told_to_come_again(
    service: tuple[Container, str],
) -> None:
    container, url = service
    # Large, so that the queue stays full for a while.
    image = jpeg_bytes(lesion_image(1, "nv", (2400, 1800)))
    with httpx.Client(base_url=url, timeout=180) as client, ThreadPoolExecutor(ASKED) as threads:

        def ask() -> httpx.Response:
            return client.post("/v1/predictions", files={"image": image})

        asked: list[Future[httpx.Response]] = [threads.submit(ask) for _ in range(ASKED)]
        # The first that is refused says that the service is full.
        first = next(
            answer
            for request in as_completed(asked)
            if (answer := request.result()).status_code == 503
        )
        assert float(first.headers["Retry-After"]) > 0
        container.stop(timeout=150)
        answers = [request.result() for request in asked]
    assert container.wait()["StatusCode"] == 0
    served = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 503]
    assert len(served) + len(refused) == ASKED
    assert len(served) >= PENDING
    assert all("Retry-After" in answer.headers for answer in refused)
    log = container.logs().decode()
    assert "stopped with unfinished work" not in log
    assert "Traceback" not in log
