"""Work that ends when nobody waits for it any more."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

T = TypeVar("T")


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Give what the work gives, and cancel it if the client leaves meanwhile.

    Servers do not cancel a request whose client has gone; without this its image would still be
    decoded and computed, before those of clients that wait.

    Args:
        request: its body has been read.
        work: may be cancelled at any point.

    Raises:
        starlette.requests.ClientDisconnect: the client went away.
    """
    loop = asyncio.get_running_loop()
    answer = loop.create_task(work)
    gone = loop.create_task(_until_gone(request))
    try:
        await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise ClientDisconnect
        return answer.result()
    finally:
        answer.cancel()
        gone.cancel()
        await asyncio.gather(answer, gone, return_exceptions=True)


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue
