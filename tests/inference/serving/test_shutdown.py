"""SIGTERM, with work under way."""

import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.errors import ShutdownError
from lentigo_inference.server.serve import Server
from lentigo_inference.serving.limits.admission import Shutdown
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes
from tests.inference.held_engine import HeldEngine
from tests.inference.live_app import PREDICTIONS
from tests.inference.network import DEADLINE_S, listening
from tests.models import publish_plain


@pytest.fixture
def engine() -> Iterator[HeldEngine]:
    engine = HeldEngine()
    yield engine
    engine.opened.set()


def test_shutdown_with_a_full_queue_finishes_accepted_work_and_refuses_new(
    settings: Settings, store: ModelStore, engine: HeldEngine
) -> None:
    publish_plain(store, 1)
    full = settings.model_copy(update={"max_pending": 6})
    data = jpeg_bytes()
    with (
        listening(full, lambda _stored: engine) as service,
        httpx.Client(base_url=service.url, timeout=DEADLINE_S) as client,
        ThreadPoolExecutor(6) as clients,
    ):
        engine.holding.set()

        def send() -> int:
            return client.post(PREDICTIONS, content=data).status_code

        accepted = [clients.submit(send) for _ in range(6)]
        assert engine.reached.wait(DEADLINE_S)
        service.until(lambda: service.shutdown.under_way == 6)
        assert client.post(PREDICTIONS, content=data).status_code == 503
        service.server.handle_exit(signal.SIGTERM, None)
        ready = client.get("/v2/health/ready")
        assert ready.status_code == 503
        assert "being stopped" in ready.json()["detail"]
        refused = client.post(PREDICTIONS, content=data)
        assert (refused.status_code, refused.json()["type"]) == (
            503,
            "urn:lentigo:problem:stopping",
        )
        assert refused.headers["retry-after"]
        assert client.get("/v2/health/live").status_code == 200
        engine.opened.set()
        assert [task.result(DEADLINE_S) for task in accepted] == [200] * 6
        service.join()
        assert service.ended == []
        assert engine.closed


def test_work_that_outlasts_the_grace_period_is_cut_short(
    settings: Settings, store: ModelStore, engine: HeldEngine
) -> None:
    publish_plain(store, 1)
    hasty = settings.model_copy(update={"shutdown_grace_s": 0})
    with (
        listening(hasty, lambda _stored: engine) as service,
        socket.create_connection(service.address, timeout=DEADLINE_S) as connection,
    ):
        engine.holding.set()
        data = jpeg_bytes()
        head = f"POST {PREDICTIONS} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
        connection.sendall(head.encode() + data)
        assert engine.reached.wait(DEADLINE_S)
        service.server.handle_exit(signal.SIGTERM, None)
        service.until(lambda: service.ended == [1])
        engine.opened.set()
        service.join()


def test_a_second_signal_ends_the_process() -> None:
    ended: list[int] = []
    shutdown = Shutdown()
    server = Server(lambda *_: None, 30, shutdown, end=ended.append)  # type: ignore[arg-type]
    server.handle_exit(signal.SIGTERM, None)
    assert (shutdown.begun, ended) == (True, [])
    server.handle_exit(signal.SIGTERM, None)
    assert ended == [1]


def test_shutdown_counts_accepted_work_and_refuses_new() -> None:
    shutdown = Shutdown()
    with shutdown.accepted():
        shutdown.begin()
        assert shutdown.under_way == 1
        with pytest.raises(ShutdownError), shutdown.accepted():
            pass
    assert shutdown.under_way == 0


def test_after_sigterm_it_is_not_ready_and_answers_on_until_it_has_drained(
    settings: Settings, store: ModelStore
) -> None:
    """So that a load balancer notices before a connection is refused."""
    publish_plain(store, 1)
    slow = settings.model_copy(update={"drain_s": 3600})
    with (
        listening(slow) as service,
        httpx.Client(base_url=service.url, timeout=DEADLINE_S) as client,
    ):
        assert client.get("/v2/health/ready").status_code == 200
        service.server.handle_exit(signal.SIGTERM, None)
        for path in ("/v2/health/ready", "/v2/models/lentigo/ready"):
            ready = client.get(path)
            assert ready.status_code == 503
            assert ready.json()["type"] == "urn:lentigo:problem:stopping"
            # The client's next request goes through a connection of its own, or elsewhere.
            assert ready.headers["connection"] == "close"
        assert "lentigo_ready 0.0" in client.get("/metrics").text
        assert client.post(PREDICTIONS, content=jpeg_bytes()).status_code == 200
        assert client.get("/v2/health/live").status_code == 200
        assert service.thread.is_alive()
        assert service.ended == []


@pytest.mark.anyio
async def test_when_it_has_drained_it_refuses_new_work_and_ends() -> None:
    now = 0.0
    shutdown = Shutdown()
    server = Server(_nothing, 30, shutdown, drain_s=5, clock=lambda: now)
    with shutdown.accepted():
        server.handle_exit(signal.SIGTERM, None)
        assert not await server.on_tick(1)
        assert (shutdown.ready, shutdown.begun) == (False, False)
        now = 5.0
        assert not await server.on_tick(1)
        assert shutdown.begun
        now = 34.9
        assert not await server.on_tick(1)
        now = 35.0
        assert await server.on_tick(1)


@pytest.mark.anyio
@pytest.mark.parametrize(("sent", "drain_s"), [(signal.SIGINT, 5.0), (signal.SIGTERM, 0.0)])
async def test_ctrl_c_and_a_drain_of_0_end_it_at_once(sent: signal.Signals, drain_s: float) -> None:
    shutdown = Shutdown()
    server = Server(_nothing, 30, shutdown, drain_s=drain_s)
    server.handle_exit(sent, None)
    assert shutdown.begun
    assert await server.on_tick(1)


def test_a_second_signal_ends_a_process_that_drains() -> None:
    ended: list[int] = []
    server = Server(_nothing, 30, Shutdown(), drain_s=5, end=ended.append)
    server.handle_exit(signal.SIGTERM, None)
    assert ended == []
    server.handle_exit(signal.SIGTERM, None)
    assert ended == [1]


async def _nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Do nothing, as an application."""
