"""Sends pictures to a server from a process of its own, and says what came back and when.

    python benchmarks/load/generator.py SERVER.json PICTURES --concurrency 8 --seconds 10

It is closed (each of so many clients sends its next picture when it has its answer) unless --rate
gives requests a second, which are then sent whatever comes back. Every answer is compared with what
the same server said of the same picture when nothing else was asked of it, so an answer that goes
to the wrong client is found. Prints one line of JSON.

It shares the processors with what it measures, so it costs as little as it can: requests are made
once, and sent as they are.
"""

import argparse
import asyncio
import base64
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httptools

CODES = 7
# The same picture in another batch: sums in another order, amplified by a softmax.
TOLERANCE = 2e-3
ANSWER_S = 60.0
_BOUNDARY = "f3b1c0a27d5e4c6f"


@dataclass
class Outcome:
    """What became of the requests of one run.

    Attributes:
        seconds: from the first request to the last answer.
        good: milliseconds of every right answer, in the order they came.
        refused: milliseconds of every 503 that carried Retry-After.
        wrong: answers that were not what the server says of that picture.
        failed: what else went wrong, and how often.
        unsent: requests that the rate asked for and that the client could not start in time.
    """

    seconds: float = 0.0
    good: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    wrong: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    unsent: int = 0

    def fail(self, what: str) -> None:
        """Count a failure."""
        self.failed[what] = self.failed.get(what, 0) + 1


@dataclass(frozen=True)
class Target:
    """A server: where, in which form it takes a picture, and where its seven numbers are.

    Attributes:
        url: takes POST.
        form: "multipart" (field `image`) or "base64" (JSON, key `image`).
        headers: with every request.
    """

    url: str
    form: str
    headers: dict[str, str] = field(default_factory=dict)

    def request(self, picture: bytes) -> bytes:
        """Give a whole request, head and body, as it goes over the wire."""
        parts = urlsplit(self.url)
        if self.form == "base64":
            kind = "application/json"
            body = json.dumps({"image": base64.b64encode(picture).decode("ascii")}).encode()
        else:
            kind = f"multipart/form-data; boundary={_BOUNDARY}"
            body = (
                (
                    f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; '
                    'filename="picture.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
                ).encode()
                + picture
                + f"\r\n--{_BOUNDARY}--\r\n".encode()
            )
        fields = {"Host": parts.netloc, "Content-Type": kind, "Content-Length": len(body)}
        lines = "".join(f"{name}: {value}\r\n" for name, value in (fields | self.headers).items())
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


@dataclass
class Answer:
    """What came back."""

    status: int = 0
    retry_after: bool = False
    body: bytes = b""


class Connection(asyncio.Protocol):
    """One connection, one request at a time, for many requests."""

    def __init__(self) -> None:
        """Prepare; asyncio opens it."""
        self._parser = httptools.HttpResponseParser(self)
        self._answer = Answer()
        self._waiting: asyncio.Future[Answer] | None = None
        self._transport: asyncio.Transport

    @property
    def is_open(self) -> bool:
        """Whether another request can be sent."""
        return not self._transport.is_closing()

    async def ask(self, request: bytes) -> Answer:
        """Send a request and wait for the end of its answer."""
        answer = self.expect()
        self.send(request)
        return await answer

    def expect(self) -> "asyncio.Future[Answer]":
        """Begin to wait for an answer, whose request is sent piece by piece."""
        self._answer = Answer()
        self._waiting = asyncio.get_running_loop().create_future()
        return self._waiting

    def send(self, piece: bytes) -> None:
        """Send a piece of a request."""
        self._transport.write(piece)

    def stop_reading(self) -> None:
        """Take nothing of what the server sends from now on."""
        self._transport.pause_reading()

    def close(self) -> None:
        """Say goodbye."""
        self._transport.close()

    def abort(self) -> None:
        """Leave without a word."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request under way."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or ConnectionResetError("closed before an answer"))

    def data_received(self, data: bytes) -> None:
        """Read on."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.connection_lost(ConnectionError(str(error)))
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:  # noqa: ARG002 - the parser's
        """Notice when the server wants us back."""
        if name.lower() == b"retry-after":
            self._answer.retry_after = True

    def on_body(self, piece: bytes) -> None:
        """Keep a piece of the body."""
        self._answer.body += piece

    def on_message_complete(self) -> None:
        """Hand the answer over."""
        self._answer.status = self._parser.get_status_code()
        if not self._parser.should_keep_alive():
            self.close()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(self._answer)


def probabilities(answer: Any) -> list[float]:  # noqa: ANN401 - whatever JSON holds
    """Find the seven probabilities, in one order, in the answer of any of the servers."""
    given = answer["probabilities"] if isinstance(answer, dict) else answer
    if isinstance(given[0], list):  # BentoML answers a batch, here of one
        (given,) = given
    if isinstance(given[0], dict):
        return [each["probability"] for each in sorted(given, key=lambda each: each["code"])]
    return [float(value) for value in given]


def agrees(said: list[float], expected: list[float]) -> bool:
    """Whether an answer is that for the picture, as far as another batch may differ."""
    return max(abs(now - known) for now, known in zip(said, expected, strict=True)) <= TOLERANCE


def is_right(answer: Any, expected: list[float], digest: str | None) -> bool:  # noqa: ANN401
    """Whether an answer is that for the picture, and about it, if its digest is given."""
    about = digest is None or answer["image"]["sha256"] == digest
    return about and agrees(probabilities(answer), expected)


async def main() -> None:
    """Parse, send, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", type=Path, help="JSON file: url, form, headers")
    parser.add_argument("pictures", type=Path, help="folder of JPEGs")
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=float, help="requests a second, whatever comes back")
    arguments = parser.parse_args()
    target = Target(**json.loads(arguments.target.read_text()))
    pictures = [path.read_bytes() for path in sorted(arguments.pictures.glob("*.jpg"))]
    client = Client(target, [target.request(picture) for picture in pictures])
    await client.learn()
    if arguments.rate:
        await client.at_rate(arguments.rate, arguments.seconds)
    else:
        await client.closed(arguments.concurrency, arguments.seconds)
    sys.stdout.write(json.dumps(asdict(client.outcome)) + "\n")


class Client:
    """Sends, checks and counts."""

    def __init__(
        self, target: Target, requests: list[bytes], digests: list[str] | None = None
    ) -> None:
        """Keep what is needed; `learn` comes first.

        Args:
            target: gets the requests.
            requests: one for each picture.
            digests: of the pictures, SHA-256 in hex, if the answers have them.
        """
        parts = urlsplit(target.url)
        self._address = (parts.hostname, parts.port)
        self._requests = requests
        self._digests: list[str] | list[None] = digests or [None] * len(requests)
        self.expected: list[list[float]] = []
        self._idle: list[Connection] = []
        self.outcome = Outcome()

    async def learn(self) -> None:
        """Ask for each picture alone, twice: what the server says is the measure from then on."""
        for _ in range(2):
            self.expected = []
            for request in self._requests:
                answer = await self._post(request)
                if answer.status != 200:
                    raise SystemExit(f"The server answered {answer.status}: {answer.body[:200]!r}")
                self.expected.append(probabilities(json.loads(answer.body)))

    async def closed(
        self, concurrency: int, seconds: float, awake: asyncio.Event | None = None
    ) -> None:
        """Keep so many requests under way for so long, but none while `awake` is not set."""
        ends = time.perf_counter() + seconds

        async def one(first: int) -> None:
            place = first
            while time.perf_counter() < ends:
                if awake is not None:
                    await awake.wait()
                await self._ask(place % len(self._requests))
                place += 1

        await self._timed((one(first) for first in range(concurrency)), seconds)

    async def at_rate(self, rate: float, seconds: float) -> None:
        """Start a request every 1/rate seconds; one that is late by a second is not sent."""
        starts = time.perf_counter()
        tasks = []
        for number in range(int(rate * seconds)):
            due = starts + number / rate
            now = time.perf_counter()
            if now < due:
                await asyncio.sleep(due - now)
            elif now > due + 1:
                self.outcome.unsent += 1
                continue
            tasks.append(asyncio.create_task(self._ask(number % len(self._requests))))
            if number % 8 == 0:
                await asyncio.sleep(0)
        async with asyncio.timeout(ANSWER_S):
            await asyncio.gather(*tasks)
        self.outcome.seconds = time.perf_counter() - starts

    async def _timed(self, work: Any, seconds: float) -> None:  # noqa: ANN401 - an iterable of coroutines
        starts = time.perf_counter()
        async with asyncio.timeout(seconds + ANSWER_S):
            await asyncio.gather(*work)
        self.outcome.seconds = time.perf_counter() - starts

    async def _ask(self, place: int) -> None:
        starts = time.perf_counter()
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await self._post(self._requests[place])
            said = json.loads(answer.body) if answer.status == 200 else None
        except (OSError, ValueError) as error:
            self.outcome.fail(type(error).__name__)
            return
        took = 1000 * (time.perf_counter() - starts)
        if said is not None:
            if not is_right(said, self.expected[place], self._digests[place]):
                self.outcome.wrong += 1
            else:
                self.outcome.good.append(took)
        elif answer.status == 503 and answer.retry_after:
            self.outcome.refused.append(took)
        else:
            self.outcome.fail(str(answer.status))

    async def _post(self, request: bytes) -> Answer:
        """Send a request over a connection that is open, or over a new one."""
        connection = self._idle.pop() if self._idle else None
        if connection is None or not connection.is_open:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(Connection, *self._address)
        answer = await connection.ask(request)
        self._idle.append(connection)
        return answer


if __name__ == "__main__":
    asyncio.run(main())
