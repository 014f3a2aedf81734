"""Cancel work when the client that asked for it has disconnected."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

T = TypeVar("T")


async def cancel_on_disconnect(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Await work, and cancel it if the client disconnects first.

    ASGI servers do not cancel a request whose client has gone. Without this, its image would still
    be decoded and computed, ahead of those of clients that wait.

    Args:
        request: its body must have been read.
        work: may be cancelled at any point.

    Raises:
        starlette.requests.ClientDisconnect: the client disconnected.
    """
    loop = asyncio.get_running_loop()
    result = loop.create_task(work)
    disconnect = loop.create_task(_wait_for_disconnect(request))
    try:
        await asyncio.wait((result, disconnect), return_when=asyncio.FIRST_COMPLETED)
        if not result.done():
            raise ClientDisconnect
        return result.result()
    finally:
        result.cancel()
        disconnect.cancel()
        await asyncio.gather(result, disconnect, return_exceptions=True)


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue
