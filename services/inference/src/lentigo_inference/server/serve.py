"""uvicorn, set up for this service.

The socket the service listens on, taken before anything slow begins.
"""

import asyncio
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Final, NoReturn

import structlog
import uvicorn
from starlette.types import ASGIApp

from lentigo_inference.server.protocol import timeout_protocol
from lentigo_inference.serving.admission import Shutdown
from lentigo_inference.settings import Settings

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

# Ended before accepted work was finished: by a second signal, or because its time was over.
_EXIT_CUT_SHORT: Final = 1

# What closing files and threads may take beyond the grace period.
_CLOSING_S: Final = 2.0


def serve(app: ASGIApp, settings: Settings, listener: socket.socket, shutdown: Shutdown) -> None:
    """Serve until SIGTERM or SIGINT: take nothing new, finish what was accepted, exit with 0.

    A second signal, or the end of the grace period, ends the process at once with 1.
    """
    # uvicorn stops gracefully and then sends itself the signal again, for these handlers.
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    server = Server(
        app, settings.shutdown_grace_s, shutdown, header_timeout_s=settings.upload_timeout_s
    )
    server.run(sockets=[listener])


class Server(uvicorn.Server):
    """Goes on listening while accepted work is finished.

    Whoever asks meanwhile hears that the service is being stopped, instead of a refused connection,
    and a load balancer sees the readiness change.
    """

    def __init__(
        self,
        app: ASGIApp,
        grace_s: float,
        shutdown: Shutdown,
        *,
        header_timeout_s: float = 30.0,
        end: Callable[[int], object] = os._exit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to serve.

        Args:
            app: answers.
            grace_s: seconds that accepted work has from the first signal on.
            shutdown: begun by the first signal.
            header_timeout_s: seconds in which the head of a request must be complete.
            end: ends the process with a code and without a word to anyone.
            clock: seconds that never jump.
        """
        config = uvicorn.Config(
            app,
            http=timeout_protocol(header_timeout_s),
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            lifespan="on",
            timeout_graceful_shutdown=math.ceil(grace_s),
        )
        super().__init__(config)
        self._grace_s = grace_s
        self._shutdown = shutdown
        self._end = end
        self._clock = clock
        self._ends_at = math.inf
        self._announced = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's
        """Begin to stop at the first signal, and end at the second."""
        self._captured_signals.append(sig)
        if self._shutdown.begun:
            self._end(_EXIT_CUT_SHORT)
        self._ends_at = self._clock() + self._grace_s
        self._shutdown.begin()

    async def on_tick(self, counter: int) -> bool:
        """Tell, ten times a second, whether to leave the main loop."""
        leave = await super().on_tick(counter)
        if not self._shutdown.begun:
            return leave
        if not self._announced:
            self._announced = True
            _log.info("stopping", connections=len(self.server_state.connections))
        return leave or self._shutdown.under_way == 0 or self._clock() >= self._ends_at

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the listener, the connections and the application, within the grace period."""
        unfinished = self._shutdown.under_way
        left = max(0.0, min(self._grace_s, self._ends_at - self._clock()))
        self.config.timeout_graceful_shutdown = math.ceil(left)
        try:
            async with asyncio.timeout(left + _CLOSING_S):
                await super().shutdown(sockets)
        except TimeoutError:
            unfinished = max(1, unfinished)
        if unfinished and self._clock() >= self._ends_at:
            _log.error("stopped with unfinished work", requests=unfinished)
            # A thread that hangs in the runtime would keep the process from ending.
            self._end(_EXIT_CUT_SHORT)
        _log.info("stopped")


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


class ListenError(OSError):
    """The address cannot be listened on; the text says why and what to do."""


def listen(host: str, port: int, backlog: int = 2048) -> socket.socket:
    """Take an address. Whoever connects from here on waits until the service accepts.

    Args:
        host: name or address.
        port: 0 takes a free one.
        backlog: connections that may wait.

    Raises:
        ListenError: it is taken, unknown or not allowed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ListenError(_described(host, port, error)) from error
    try:
        # A port left a minute ago is free, although the kernel still remembers its connections.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise ListenError(_described(host, port, error)) from error
    return listener


def address_of(listener: socket.socket) -> str:
    """Give the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _described(host: str, port: int, error: OSError) -> str:
    return (
        f"cannot listen on {host} port {port}: {error.strerror or error}. Stop what uses it, or "
        "set LENTIGO_HOST or LENTIGO_PORT to something else."
    )
