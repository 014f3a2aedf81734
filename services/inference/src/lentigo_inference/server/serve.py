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

from lentigo_inference.server.protocol import timeout_protocol
from lentigo_inference.serving.admission import Shutdown
from lentigo_inference.settings import Settings

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

# The exit code if accepted work was not finished: a second signal, or the grace period was over.
_EXIT_CUT_SHORT: Final = 1

# Time for closing files and threads after the grace period, in seconds.
_CLOSING_S: Final = 2.0


def serve(app: ASGIApp, settings: Settings, listener: socket.socket, shutdown: Shutdown) -> None:
    """Serve until SIGTERM or SIGINT; then refuse new work, finish accepted work, and exit with 0.

    A second signal, or the end of the grace period, ends the process at once with 1.
    """
    # uvicorn stops gracefully and then raises the signal again, for these handlers.
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    server = Server(
        app, settings.shutdown_grace_s, shutdown, header_timeout_s=settings.upload_timeout_s
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
        header_timeout_s: float = 30.0,
        end: Callable[[int], object] = os._exit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to serve.

        Args:
            app: the application.
            grace_s: seconds that accepted work has, from the first signal on.
            shutdown: begun by the first signal.
            header_timeout_s: seconds in which the head of a request must be complete.
            end: ends the process at once, with an exit code.
            clock: monotonic seconds.
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
        """Start to stop at the first signal, and end the process at the second."""
        self._captured_signals.append(sig)
        if self._shutdown.begun:
            self._end(_EXIT_CUT_SHORT)
        self._ends_at = self._clock() + self._grace_s
        self._shutdown.begin()

    async def on_tick(self, counter: int) -> bool:
        """Return, ten times a second, whether to leave the main loop."""
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


def listen(host: str, port: int, backlog: int = 2048) -> socket.socket:
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
