"""One request and its response on a connection."""

import asyncio
from typing import Final

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from lentigo_inference.errors import ServingError

# RFC 9110, section 15.2: an interim response.
_CONTINUE: Final = b"HTTP/1.1 100 "

_PIECE_BYTES: Final = 64 * 2**10


class Exchange(RequestResponseCycle):
    """uvicorn's cycle, within bounds of memory.

    A response is written as its client takes it. Otherwise a thousand clients that read nothing
    would have a copy of the page's largest file each. What is left of the body of a request is of
    no use once the response begins. The application learns of a body that turns out to be
    malformed.
    """

    malformed: ServingError | None = None

    async def send(self, message: ASGISendEvent) -> None:
        """Send the next part of the response, a large one piece by piece."""
        if message["type"] != "http.response.body" or len(message["body"]) <= _PIECE_BYTES:
            await super().send(message)
            self.body.clear()
            return
        body, more_body = message["body"], message.get("more_body", False)
        for start in range(0, len(body), _PIECE_BYTES):
            end = start + _PIECE_BYTES
            await super().send(
                {
                    "type": "http.response.body",
                    "body": body[start:end],
                    "more_body": more_body or end < len(body),
                }
            )

    async def receive(self) -> ASGIReceiveEvent:
        """Return the next part of the body; raises why the body is malformed, if it is."""
        message = await super().receive()
        if self.malformed is not None:
            raise self.malformed
        return message

    def break_off(self, error: ServingError) -> None:
        """End the body with an error; the connection closes after the response."""
        self.malformed = error
        self.keep_alive = False
        self.message_event.set()


class HeadWithBody:
    """A transport for one response, which sends the head together with the start of the body.

    This saves a system call and a packet, and the client does not wake up for the head alone.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        """Wrap the transport of the connection."""
        self._transport = transport
        self._head = b""
        self._begun = False

    def write(self, data: bytes) -> None:
        """Keep the first write, which is the head, and send it with the next."""
        if self._begun or data.startswith(_CONTINUE):
            self._transport.write(self._head + data)
            self._head = b""
        else:
            self._head, self._begun = data, True

    def close(self) -> None:
        """Send a kept head, and close."""
        if self._head:
            self._transport.write(self._head)
            self._head = b""
        self._transport.close()

    def is_closing(self) -> bool:
        """Return whether the connection is being closed."""
        return self._transport.is_closing()
