"""Sends pictures to a server from a process of its own, and says what came back and when.

    python benchmarks/serving_load.py SERVER.json PICTURES --concurrency 8 --seconds 10

It is closed (each of so many clients sends its next picture when it has its answer) unless --rate
gives requests a second, which are then sent whatever comes back. Every answer is compared with what
the same server said of the same picture when nothing else was asked of it, so an answer that goes
to the wrong client is found. Prints one line of JSON.
"""

import argparse
import asyncio
import base64
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

CODES = 7
# The same picture in another batch: sums in another order, amplified by a softmax.
TOLERANCE = 2e-3


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

    def body(self, picture: bytes) -> dict[str, Any]:
        """Give the arguments of aiohttp's post."""
        if self.form == "base64":
            return {"json": {"image": base64.b64encode(picture).decode("ascii")}}
        form = aiohttp.FormData()
        form.add_field("image", picture, filename="picture.jpg", content_type="image/jpeg")
        return {"data": form}


def probabilities(answer: Any) -> list[float]:  # noqa: ANN401 - whatever JSON holds
    """Find the seven probabilities, in one order, in the answer of any of the servers."""
    given = answer["probabilities"] if isinstance(answer, dict) else answer
    if isinstance(given[0], list):  # BentoML answers a batch, here of one
        (given,) = given
    if isinstance(given[0], dict):
        return [each["probability"] for each in sorted(given, key=lambda each: each["code"])]
    return [float(value) for value in given]


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
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        client = Client(session, target, pictures)
        await client.learn()
        if arguments.rate:
            await client.at_rate(arguments.rate, arguments.seconds)
        else:
            await client.closed(arguments.concurrency, arguments.seconds)
    sys.stdout.write(json.dumps(asdict(client.outcome)) + "\n")


class Client:
    """Sends, checks and counts."""

    def __init__(
        self, session: aiohttp.ClientSession, target: Target, pictures: list[bytes]
    ) -> None:
        """Keep what is needed; `learn` comes first."""
        self._session = session
        self._target = target
        self._pictures = pictures
        self._expected: list[list[float]] = []
        self.outcome = Outcome()

    async def learn(self) -> None:
        """Ask for each picture alone, twice: what the server says is the measure from then on."""
        for _ in range(2):
            self._expected = []
            for place in range(len(self._pictures)):
                status, _, answer = await self._post(place)
                if status != 200:
                    raise SystemExit(f"{self._target.url} answered {status}: {answer}")
                self._expected.append(probabilities(answer))

    async def closed(self, concurrency: int, seconds: float) -> None:
        """Keep so many requests under way for so long."""
        ends = time.perf_counter() + seconds

        async def one(first: int) -> None:
            place = first
            while time.perf_counter() < ends:
                await self._ask(place % len(self._pictures))
                place += 1

        await self._timed(one(first) for first in range(concurrency))

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
            tasks.append(asyncio.create_task(self._ask(number % len(self._pictures))))
            if number % 8 == 0:
                await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        self.outcome.seconds = time.perf_counter() - starts

    async def _timed(self, work: Any) -> None:  # noqa: ANN401 - an iterable of coroutines
        starts = time.perf_counter()
        await asyncio.gather(*work)
        self.outcome.seconds = time.perf_counter() - starts

    async def _ask(self, place: int) -> None:
        starts = time.perf_counter()
        try:
            status, headers, answer = await self._post(place)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self.outcome.fail(type(error).__name__)
            return
        took = 1000 * (time.perf_counter() - starts)
        if status == 200:
            pairs = zip(probabilities(answer), self._expected[place], strict=True)
            if max(abs(said - known) for said, known in pairs) > TOLERANCE:
                self.outcome.wrong += 1
            else:
                self.outcome.good.append(took)
        elif status == 503 and "Retry-After" in headers:
            self.outcome.refused.append(took)
        else:
            self.outcome.fail(str(status))

    async def _post(self, place: int) -> tuple[int, Any, Any]:
        body = self._target.body(self._pictures[place])
        headers = self._target.headers
        async with self._session.post(self._target.url, headers=headers, **body) as response:
            text = await response.read()
            try:
                return response.status, response.headers, json.loads(text)
            except ValueError:
                return response.status, response.headers, text[:200]


if __name__ == "__main__":
    asyncio.run(main())
