"""uvicorn, set up for this service."""

import signal
import socket
import sys
from types import FrameType
from typing import NoReturn

import structlog
import uvicorn
from starlette.types import ASGIApp

from lentigo_inference.settings import Settings

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


def serve(app: ASGIApp, settings: Settings, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT: take nothing new, finish what was accepted, exit with 0."""
    # uvicorn stops gracefully and then sends itself the signal again, for these handlers.
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=settings.shutdown_grace_s,
    )
    _Server(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say so first: finishing may take the whole grace period."""
        _log.info("stopping", connections=len(self.server_state.connections))
        await super().shutdown(sockets)
        _log.info("stopped")


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)
