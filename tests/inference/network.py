"""The real application behind a real socket, in a thread of this process."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import httpx

from lentigo_inference.app import create_app
from lentigo_inference.engines.selection import EngineLoader
from lentigo_inference.server.connections import connection_limits
from lentigo_inference.server.serve import Server, address_of, listen
from lentigo_inference.serving.limits.admission import Shutdown
from lentigo_inference.settings import Settings
from tests.models import load_plain

DEADLINE_S: Final = 120.0


@dataclass
class Listening:
    """A service that listens; `ended` has the codes it would have ended the process with."""

    url: str
    server: Server
    shutdown: Shutdown
    thread: threading.Thread
    ended: list[int] = field(default_factory=list)

    @property
    def address(self) -> tuple[str, int]:
        url = httpx.URL(self.url)
        return url.host, url.port or 80

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something that no event tells of."""
        pause = threading.Event()
        deadline = time.monotonic() + DEADLINE_S
        while not holds():
            assert time.monotonic() < deadline
            pause.wait(0.005)

    def join(self) -> None:
        self.thread.join(DEADLINE_S)
        assert not self.thread.is_alive()


@contextmanager
def listening(settings: Settings, load: EngineLoader = load_plain) -> Iterator[Listening]:
    """Serve on a free port; the first look at the repository is over."""
    shutdown, looked = Shutdown(), threading.Event()

    def wait(seconds: float) -> bool:
        # The keys have a watcher of their own, which is done at once.
        if seconds == settings.reload_interval_s:
            looked.set()
        return True

    app = create_app(settings, load=load, wait=wait, shutdown=shutdown)
    ended: list[int] = []
    server = Server(
        app,
        settings.shutdown_grace_s,
        shutdown,
        limits=connection_limits(settings),
        drain_s=settings.drain_s,
        end=ended.append,
    )
    listener = listen("127.0.0.1", 0)
    thread = threading.Thread(
        target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True
    )
    service = Listening(address_of(listener), server, shutdown, thread, ended)
    thread.start()
    try:
        assert looked.wait(DEADLINE_S)
        yield service
    finally:
        server.should_exit = True
        service.join()


def unread(service: Listening, request: bytes) -> socket.socket:
    """Ask for more than the buffers of a connection hold, and read nothing of it."""
    for listener in service.server.servers[0].sockets:
        # Accepted connections inherit it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(DEADLINE_S)
    connection.connect(service.address)
    connection.sendall(request)
    # The response has begun.
    assert connection.recv(1) == b"H"
    return connection
