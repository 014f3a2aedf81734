"""The clients of benchmarks/soak.py that are not plainly good: from slow ones to hostile ones."""

import asyncio
import hashlib
import itertools
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Final
from urllib.parse import urlsplit

from hostile_images import hostile
from load.generator import ANSWER_S, Answer, Connection, Target, is_right

_PIECES: Final = 12
_PIPELINED: Final = 200
_IDLE: Final = 100
# Longer than the service waits for a client that reads nothing.
_UNREAD_S: Final = 45.0
_OFFER: Final = {"Upgrade": "h2c", "Connection": "upgrade"}


class Tally:
    """What became of the requests of all clients, by kind of client.

    Attributes:
        statuses: answers, by kind and status.
        dishonest: 5xx other than a 503 that says when to come back, by kind and status.
        wrong: answers that were not what the server says of that picture alone.
        broken: connections that ended without an answer, by kind, and those without one in time.
    """

    def __init__(self) -> None:
        """Start at zero."""
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.dishonest: Counter[tuple[str, int]] = Counter()
        self.wrong = 0
        self.broken: Counter[tuple[str, str]] = Counter()

    def count(self, kind: str, answer: Answer) -> None:
        """Count an answer."""
        self.statuses[kind, answer.status] += 1
        if answer.status >= 500 and not (answer.status == 503 and answer.retry_after):
            self.dishonest[kind, answer.status] += 1


class Crowd:
    """Clients that keep on until they are told to stop, and rest when they are told to."""

    def __init__(
        self,
        targets: dict[str, Target],
        pictures: list[bytes],
        expected: list[list[float]],
        tally: Tally,
        awake: asyncio.Event,
    ) -> None:
        """Prepare the requests.

        Args:
            targets: of the predictions, by kind of client; each has a key of its own.
            pictures: JPEGs.
            expected: what the server says of each alone.
            tally: is filled in.
            awake: while it is not set, nothing is asked; those that hold connections go on.
        """
        self._targets = targets
        self._pictures = pictures
        self._expected = expected
        self._tally = tally
        self._awake = awake
        self._draw = random.Random(0)
        parts = urlsplit(next(iter(targets.values())).url)
        self._address = (parts.hostname, parts.port)
        self._digests = [hashlib.sha256(each).hexdigest() for each in pictures]
        self._over = asyncio.Event()

    def stop(self) -> None:
        """Let every client finish what it does."""
        self._over.set()

    def clients(self) -> list[Awaitable[None]]:
        """Return all clients, to be awaited together."""
        bad, hostile = itertools.cycle(self._bad_requests()), self._hostile_requests()
        return [
            self._again("bad", lambda: self._ask("bad", next(bad))),
            self._again("described", self._ask_described),
            self._again("slow", self._ask_slowly),
            self._again("slow", self._ask_slowly),
            self._again("leaving", self._leave),
            self._again("hostile", lambda: self._ask("hostile", next(hostile))),
            self._again("hostile", self._offer_protocols),
            self._hold("unread", self._never_read),
            self._hold("idle", self._hold_connections),
        ]

    async def _again(self, kind: str, act: Callable[[], Awaitable[None]]) -> None:
        while not self._over.is_set():
            await self._awake.wait()
            await self._once(kind, act)
            await self._pause(0.2)

    async def _hold(self, kind: str, act: Callable[[], Awaitable[None]]) -> None:
        while not self._over.is_set():
            await self._once(kind, act)
            await self._pause(0.2)

    async def _once(self, kind: str, act: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                await act()
        except (OSError, ValueError) as error:
            self._tally.broken[kind, type(error).__name__] += 1

    async def _pause(self, seconds: float) -> None:
        """Wait, but not past the end."""
        try:
            async with asyncio.timeout(seconds):
                await self._over.wait()
        except TimeoutError:
            return

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, *self._address)
        return connection

    async def _ask(self, kind: str, request: bytes) -> None:
        connection = await self._connect()
        try:
            self._tally.count(kind, await connection.ask(request))
        finally:
            connection.abort()

    async def _ask_slowly(self) -> None:
        """Send a good picture over seconds, and check the answer."""
        place = self._draw.randrange(len(self._pictures))
        request = self._targets["slow"].request(self._pictures[place])
        connection = await self._connect()
        try:
            answer = connection.expect()
            size = -(-len(request) // _PIECES)
            for start in range(0, len(request), size):
                connection.send(request[start : start + size])
                await self._pause(self._draw.uniform(0, 0.5))
            said = await answer
        finally:
            connection.abort()
        self._check("slow", said, place)

    async def _ask_described(self) -> None:
        """Ask for the description of a lesion, too, and check the answer."""
        place = self._draw.randrange(len(self._pictures))
        target = self._targets["described"]
        described = Target(f"{target.url}&describe=true", target.form, target.headers)
        connection = await self._connect()
        try:
            said = await connection.ask(described.request(self._pictures[place]))
        finally:
            connection.abort()
        self._check("described", said, place)

    def _check(self, kind: str, said: Answer, place: int) -> None:
        """Count an answer about a picture, and whether it is wrong."""
        self._tally.count(kind, said)
        if said.status == 200:
            answer = json.loads(said.body)
            right = is_right(answer, self._expected[place], self._digests[place])
            right &= ("description" in answer) == (kind == "described")
            self._tally.wrong += not right

    async def _leave(self) -> None:
        """Send all of a request or a part of it, and leave before the answer."""
        request = self._targets["leaving"].request(self._draw.choice(self._pictures))
        sent = self._draw.choice((len(request), self._draw.randrange(len(request))))
        connection = await self._connect()
        connection.send(request[:sent])
        await self._pause(self._draw.uniform(0, 0.05))
        connection.abort()
        self._tally.statuses["leaving", 0] += 1

    async def _never_read(self) -> None:
        """Ask for much on one connection, and take none of it until the service gives up."""
        connection = await self._connect()
        connection.stop_reading()
        connection.send(_get(self._targets["bad"], "/openapi.json") * 17)
        await self._pause(_UNREAD_S)
        connection.abort()
        self._tally.statuses["unread", 0] += 1

    async def _hold_connections(self) -> None:
        """Open connections, begin a request on every other, and let the service close them."""
        async with AsyncExitStack() as stack:
            for number in range(_IDLE):
                connection = await self._connect()
                stack.callback(connection.abort)
                if number % 2:
                    connection.send(b"POST /v1/pred")
            await self._pause(_UNREAD_S)
        self._tally.statuses["idle", 0] += _IDLE

    async def _offer_protocols(self) -> None:
        """Offer another protocol on one connection, many times; each offer is answered."""
        connection = await self._connect()
        offer = _get(Target(self._targets["bad"].url, "multipart", _OFFER), "/v2/health/live")
        try:
            answer = connection.expect()
            connection.send(offer * _PIPELINED)
            self._tally.count("hostile", await answer)
        finally:
            connection.abort()
        await self._pause(1)

    def _bad_requests(self) -> list[bytes]:
        """Return requests that are refused, each in its own way."""
        target = self._targets["bad"]
        picture, infer = self._pictures[0], "/v2/models/lentigo/infer"
        whole = target.request(picture)
        return [
            post(target, b""),
            post(target, b"no image"),
            post(target, picture[: len(picture) // 2]),
            post(target, picture, kind="text/plain"),
            post(target, b"--x\r\n\r\n", kind="multipart/form-data; boundary=x"),
            whole.replace(b'name="image"', b'name="photo"'),
            post(target, b"{", path=infer),
            post(target, b'{"inputs":[{"name":"image","data":[[1,2' + b"],[" * 50_000, path=infer),
            _get(target, "/v1/nothing"),
            _get(target, "/v1/models").replace(b"Bearer ", b"Bearer x"),
            whole.replace(b"HTTP/1.1", b"HTTP/9.9", 1),
            b"\x16\x03\x01\x02\x00" + bytes(range(256)),
        ]

    def _hostile_requests(self) -> Iterator[bytes]:
        """Give images of few bytes and many pixels, for ever."""
        target = self._targets["hostile"]
        return itertools.cycle([post(target, data) for data in hostile().values()])


def post(
    target: Target, body: bytes, kind: str = "application/octet-stream", path: str | None = None
) -> bytes:
    """Give a whole request that posts a body, by default to the target's own path."""
    parts = urlsplit(target.url)
    fields = {"Host": parts.netloc, "Content-Type": kind, "Content-Length": str(len(body))}
    return _head("POST", path or f"{parts.path}?{parts.query}", fields | target.headers) + body


def _get(target: Target, path: str) -> bytes:
    return _head("GET", path, {"Host": urlsplit(target.url).netloc} | target.headers)


def _head(method: str, path: str, fields: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode()
