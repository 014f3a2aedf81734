"""uvicorn, configured for this service, and the socket it listens on.

The socket is opened before anything slow starts, so that early clients wait instead of failing.
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

from lentigo_inference.server.connections import (
    ACCEPTED_AT_ONCE,
    ConnectionLimits,
    Connections,
    LoopErrorLog,
    connection_limits,
)
from lentigo_inference.server.protocol import limited_protocol
from lentigo_inference.serving.limits.admission import Shutdown
from lentigo_inference.settings import Settings

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

# The exit code if accepted work was not finished: a second signal, or the grace period was over.
_EXIT_CUT_SHORT: Final = 1

# Connections that the system holds until the service accepts them.
_BACKLOG: Final = 512

# What the system holds of a response that its client has not begun to take. Without it, that is
# megabytes a connection, which count against a container's memory.
_MOST_UNSENT: Final = 128 * 2**10

# Time for closing files and threads after the grace period, in seconds.
_CLOSING_S: Final = 2.0


def serve(app: ASGIApp, settings: Settings, listener: socket.socket, shutdown: Shutdown) -> None:
    """Serve until SIGTERM or SIGINT; then refuse new work, finish accepted work, and exit with 0.

    After SIGTERM the service answers on for a while and says that it is not ready. A second signal,
    or the end of the grace period, ends the process at once with 1.
    """
    # uvicorn stops gracefully and then raises the signal again, for these handlers.
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    server = Server(
        app,
        settings.shutdown_grace_s,
        shutdown,
        limits=connection_limits(settings),
        drain_s=settings.drain_s,
    )
    server.run(sockets=[listener])


class Server(uvicorn.Server):
    """A uvicorn server that keeps listening while accepted work is finished.

    Meanwhile, clients get the response that the service is being stopped instead of a refused
    connection, and a load balancer sees the readiness change.
    """

    def __init__(
        self,
        app: ASGIApp,
        grace_s: float,
        shutdown: Shutdown,
        *,
        limits: ConnectionLimits | None = None,
        drain_s: float = 0.0,
        end: Callable[[int], object] = os._exit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to serve.

        Args:
            app: the application.
            grace_s: seconds that accepted work has once new work is refused.
            shutdown: drained and begun by the first signal.
            limits: of the connections.
            drain_s: seconds from SIGTERM until new work is refused.
            end: ends the process at once, with an exit code.
            clock: monotonic seconds.
        """
        limits = limits or ConnectionLimits()
        config = uvicorn.Config(
            app,
            http=limited_protocol(Connections(limits, lambda: not shutdown.ready)),
            backlog=ACCEPTED_AT_ONCE,
            timeout_keep_alive=math.ceil(limits.keep_alive_s),
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
        self._drain_s = drain_s
        self._begins_at = math.inf
        self._shutdown = shutdown
        self._end = end
        self._clock = clock
        self._ends_at = math.inf
        self._announced = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections."""
        asyncio.get_running_loop().set_exception_handler(LoopErrorLog())
        await super().startup(sockets)
        for listener in sockets or []:
            # The backlog of the configuration limits what is accepted at once. More may wait.
            listener.listen(_BACKLOG)
            if hasattr(socket, "TCP_NOTSENT_LOWAT"):
                # Accepted connections inherit it.
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _MOST_UNSENT)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's
        """Start to stop at the first signal, and end the process at the second."""
        self._captured_signals.append(sig)
        if not self._shutdown.ready:
            self._end(_EXIT_CUT_SHORT)
        self._begins_at = self._clock()
        self._shutdown.drain()
        if sig == signal.SIGTERM and self._drain_s > 0:
            self._begins_at += self._drain_s
        else:
            self._begin_to_end()

    def _begin_to_end(self) -> None:
        self._ends_at = self._clock() + self._grace_s
        self._shutdown.begin()

    async def on_tick(self, counter: int) -> bool:
        """Return, ten times a second, whether to leave the main loop."""
        leave = await super().on_tick(counter)
        if self._shutdown.ready:
            return leave
        if not self._announced:
            self._announced = True
            _log.info("stopping", connections=len(self.server_state.connections))
        if not self._shutdown.begun and self._clock() >= self._begins_at:
            self._begin_to_end()
        if not self._shutdown.begun:
            return leave
        return leave or self._shutdown.under_way == 0 or self._clock() >= self._ends_at

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the listener, the connections and the application, within the grace period."""
        unfinished = self._shutdown.under_way
        remaining_s = max(0.0, min(self._grace_s, self._ends_at - self._clock()))
        self.config.timeout_graceful_shutdown = math.ceil(remaining_s)
        try:
            async with asyncio.timeout(remaining_s + _CLOSING_S):
                await super().shutdown(sockets)
        except TimeoutError:
            unfinished = max(1, unfinished)
        if unfinished and self._clock() >= self._ends_at:
            _log.error("stopped with unfinished work", requests=unfinished)
            # A thread that hangs in the engine would keep the process from ending.
            self._end(_EXIT_CUT_SHORT)
        _log.info("stopped")


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


class ListenError(OSError):
    """The address cannot be listened on; the message says why and what to do."""


def listen(host: str, port: int, backlog: int = _BACKLOG) -> socket.socket:
    """Listen on an address. Clients that connect from now on wait until the service accepts.

    Args:
        host: name or address.
        port: 0 chooses a free one.
        backlog: connections that may wait.

    Raises:
        ListenError: it is in use, unknown or not allowed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ListenError(_listen_error_text(host, port, error)) from error
    try:
        # Allows a port that was closed a minute ago, whose connections the kernel still remembers.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise ListenError(_listen_error_text(host, port, error)) from error
    return listener


def address_of(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _listen_error_text(host: str, port: int, error: OSError) -> str:
    return (
        f"cannot listen on {host} port {port}: {error.strerror or error}. Stop what uses it, or "
        "set LENTIGO_HOST or LENTIGO_PORT to something else."
    )
