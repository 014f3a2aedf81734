"""A day in the life of the service: mixed clients, reloads, and what memory does.

    python benchmarks/soak.py [--minutes 60] [--model models/lentigo/6] [--plot soak.svg]

A real service process answers good clients, whose every answer must be about their picture, and
what the network says of it. Meanwhile others ask for descriptions, send what is refused, send
slowly, leave before the answer, never read it, hold connections, or attack with small files of many
pixels and with pipelined requests; and the version is loaded anew 30 times. Twenty times all rest
until the service does nothing, and its memory then is compared: under load, most of it is images
that are being decoded.

Ends with a table of figures and their bounds, and with exit code 1 if one is missed. Clients and
service share this machine.
"""

import argparse
import asyncio
import hashlib
import json
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from lentigo_contract.imaging.read import read_image
from lentigo_contract.manifest.engines import LITERT_FILES, EngineName
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.repository.layout import MANIFEST_NAME
from load.generator import ANSWER_S, Client, Connection, Target, agrees
from load.results import BenchmarkResult, at_most, draw_memory_over_time, summary
from load.servers import Recipe, Running, add_key, draw_pictures, ours, running
from load.soak_clients import Crowd, Tally, post
from serving import shipped

RELOADS: Final = 30
GOOD_CLIENTS: Final = 4
SAMPLES: Final = 720
RESTS: Final = 20
# The first tenth is for warming up.
FIRST_RESTS: Final = slice(2, 5)
LAST_RESTS: Final = slice(RESTS - 3, RESTS)
_LOOK_S: Final = 0.1
_CALM_LOOKS: Final = 5
_CALM_S: Final = 60.0
_HEALTH_PAUSE_S: Final = 0.5
# Clients may make the service wait for as long as it lets them.
_RELOAD_S: Final = 120.0
_UNFORESEEN: Final = ("unforeseen error", "Exception in ASGI", "Traceback")


@dataclass
class Course:
    """What was observed, by seconds since the start.

    Attributes:
        times: of the samples of memory.
        memory: MiB that the service holds.
        rest_times: of the samples at rest.
        rest_memory: MiB that it holds then.
        reloads: when each reload had ended.
        failed_reloads: answers to reloads other than 200.
        health: milliseconds of each answer about the health of the service.
        failed_health: answers other than 200, and those that did not come.
    """

    times: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    rest_times: list[float] = field(default_factory=list)
    rest_memory: list[float] = field(default_factory=list)
    reloads: list[float] = field(default_factory=list)
    failed_reloads: int = 0
    health: list[float] = field(default_factory=list)
    failed_health: int = 0

    @property
    def growth(self) -> float | None:
        """Memory at the last rests, as a multiple of that at the first after warming up."""
        if len(self.rest_memory) < RESTS:
            return None
        first, last = self.rest_memory[FIRST_RESTS], self.rest_memory[LAST_RESTS]
        return statistics.median(last) / statistics.median(first)


class Soak:
    """The service, its clients, and what is observed of them."""

    def __init__(self, server: Running, seconds: float, pictures: list[bytes]) -> None:
        """Prepare to last so many seconds."""
        self.server = server
        self.seconds = seconds
        self.pictures = pictures
        self.course = Course()
        self.tally = Tally()
        self._began = time.perf_counter()
        self._awake = asyncio.Event()
        self._awake.set()
        # Memory is not compared while two versions are in it.
        self._loading = asyncio.Lock()

    @property
    def _elapsed(self) -> float:
        return time.perf_counter() - self._began

    async def last(self, recipe: Recipe, keys: dict[str, str]) -> Client:
        """Let all clients work until the time is over; return the good ones."""
        targets = {
            kind: Target(self.server.base + recipe.path, "multipart", authorization(key))
            for kind, key in keys.items()
        }
        digests = [hashlib.sha256(each).hexdigest() for each in self.pictures]
        requests = [targets["good"].request(each) for each in self.pictures]
        good = Client(targets["good"], requests, digests)
        await good.learn()
        crowd = Crowd(targets, self.pictures, good.expected, self.tally, self._awake)
        clients = crowd.clients()
        self._began = time.perf_counter()

        async def keep_asking() -> None:
            await good.closed(GOOD_CLIENTS, self.seconds, self._awake)
            crowd.stop()

        async with asyncio.TaskGroup() as group:
            for each in clients:
                group.create_task(each)
            group.create_task(self._watch_memory())
            group.create_task(self._rest())
            group.create_task(self._reload(targets["admin"]))
            group.create_task(self._watch_health())
            group.create_task(keep_asking())
        return good

    async def _watch_memory(self) -> None:
        while self._elapsed < self.seconds:
            if self.server.process.poll() is not None:
                sys.exit(f"The service has ended; its log says:\n{self._log()[-2000:]}")
            self.course.times.append(self._elapsed)
            self.course.memory.append(await self._memory())
            await asyncio.sleep(self.seconds / SAMPLES)

    async def _memory(self) -> float:
        return await asyncio.to_thread(self.server.memory)

    async def _rest(self) -> None:
        """Have all clients rest from time to time, and look at the memory then."""
        for number in range(RESTS):
            await asyncio.sleep(max(0, (number + 0.9) * self.seconds / RESTS - self._elapsed))
            async with self._loading:
                self._awake.clear()
                try:
                    await self._until_calm()
                    self.course.rest_times.append(self._elapsed)
                    self.course.rest_memory.append(await self._memory())
                finally:
                    self._awake.set()

    async def _until_calm(self) -> None:
        """Wait until the service has done nothing for a moment; images go on to be decoded."""
        ends, calm = time.perf_counter() + _CALM_S, 0
        while calm < _CALM_LOOKS and time.perf_counter() < ends:
            await asyncio.sleep(_LOOK_S)
            calm = 0 if self.server.is_busy() else calm + 1

    async def _reload(self, admin: Target) -> None:
        request = post(admin, b"{}", "application/json", path="/v2/repository/models/lentigo/load")
        for number in range(RELOADS):
            await asyncio.sleep(max(0, (number + 0.5) * self.seconds / RELOADS - self._elapsed))
            async with self._loading:
                status = await self._status(request, _RELOAD_S)
            self.course.failed_reloads += status != 200
            self.course.reloads.append(self._elapsed)

    async def _watch_health(self) -> None:
        request = f"GET /v2/health/live HTTP/1.1\r\nHost: {self._netloc}\r\n\r\n".encode()
        while self._elapsed < self.seconds:
            began = time.perf_counter()
            self.course.failed_health += await self._status(request, ANSWER_S) != 200
            self.course.health.append(1000 * (time.perf_counter() - began))
            await asyncio.sleep(_HEALTH_PAUSE_S)

    @property
    def _netloc(self) -> str:
        return urlsplit(self.server.base).netloc

    async def _status(self, request: bytes, timeout_s: float) -> int:
        """Return the status of an answer; 0 without one."""
        parts = urlsplit(self.server.base)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                _, connection = await loop.create_connection(Connection, parts.hostname, parts.port)
                try:
                    return (await connection.ask(request)).status
                finally:
                    connection.close()
        except OSError:
            return 0

    def _log(self) -> str:
        return self.server.log.read_text(errors="replace")

    def results(self, good: Client, expected: list[list[float]]) -> list[BenchmarkResult]:
        """Return the figures beside their bounds.

        Args:
            good: the good clients.
            expected: what the network says of the pictures.
        """
        said, course = good.outcome, self.course
        untrue = sum(
            not agrees(known, true) for known, true in zip(good.expected, expected, strict=True)
        )
        dishonest = sum(self.tally.dishonest.values()) + sum(
            count for what, count in said.failed.items() if what.startswith("5")
        )
        lost = sum(count for what, count in said.failed.items() if not what.startswith("5"))
        unforeseen = sum(
            any(word in line for word in _UNFORESEEN) for line in self._log().splitlines()
        )
        return [
            at_most("pictures that the service judges otherwise than the network", untrue, 0),
            at_most("wrong answers", said.wrong + self.tally.wrong, 0),
            at_most("5xx other than an honest 503", dishonest, 0),
            at_most("good requests that failed otherwise", lost, 0),
            at_most(f"failed reloads of {RELOADS}", course.failed_reloads, 0),
            at_most("memory at rest: end / after warming up", course.growth, 1.05),
            BenchmarkResult("memory, most, MiB", max(course.memory)),
            at_most("health: not answered with 200", course.failed_health, 0),
            at_most("health, p99, ms", float(np.percentile(course.health, 99)), 100),
            BenchmarkResult("health, slowest, ms", max(course.health)),
            at_most("unforeseen errors in the log", unforeseen, 0),
            BenchmarkResult("log, MB", self.server.log.stat().st_size / 1e6),
        ]


def judged_here(version: Path, engine: EngineName, pictures: list[bytes]) -> list[list[float]]:
    """Return what the network of a version says of pictures, without the service."""
    network = Interpreter(model_content=(version / LITERT_FILES[engine]).read_bytes())
    run = network.get_signature_runner("serving_default")
    # Both the network and `probabilities` have the diagnoses in the order of their codes.
    return [
        run(image=read_image(each).pixels[None])["probabilities"][0].tolist() for each in pictures
    ]


def authorization(key: str) -> dict[str, str]:
    """Give the header that presents a key."""
    return {"Authorization": f"Bearer {key}"}


def main() -> int:
    """Parse, last, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--model", type=Path, help="a version; by default the one that ships")
    # One engine, because reloads with `auto` may choose another, which answers a little otherwise.
    parser.add_argument("--engine", default="litert", choices=list(LITERT_FILES))
    parser.add_argument("--plot", type=Path, default=Path("soak.svg"), help="SVG or PNG file")
    parser.add_argument("--json", type=Path, help="write all that was observed to this file")
    arguments = parser.parse_args()
    version: Path = arguments.model or shipped()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        number = Manifest.read(version / MANIFEST_NAME).version
        shutil.copytree(version, folder / "models" / "lentigo" / str(number))
        draw_pictures(folder / "pictures")
        pictures = [path.read_bytes() for path in sorted((folder / "pictures").iterdir())]
        expected = judged_here(version, arguments.engine, pictures)
        file = folder / "keys.json"
        kinds = ("good", "described", "bad", "slow", "leaving", "hostile")
        keys = {kind: add_key(file, "predict", name=kind) for kind in kinds}
        keys["admin"] = add_key(file, "admin")
        recipe = ours(arguments.engine, LENTIGO_KEY_FILE=str(file))
        with running(recipe, folder, authorization(keys["good"])) as server:
            soak = Soak(server, 60 * arguments.minutes, pictures)
            good = asyncio.run(soak.last(recipe, keys))
        measured = soak.results(good, expected)
    report(soak, good, measured)
    draw(soak.course, arguments.plot)
    if arguments.json:
        figures = [vars(each) for each in measured]
        observed = {"figures": figures, "course": vars(soak.course)}
        arguments.json.write_text(json.dumps(observed, indent=2) + "\n")
    return int(any(each.met is False for each in measured))


def draw(course: Course, file: Path) -> None:
    """Draw the memory under load and at rest."""
    times, rest_times, reloads = (
        [each / 60 for each in seconds]
        for seconds in (course.times, course.rest_times, course.reloads)
    )
    at_rest = list(zip(rest_times, course.rest_memory, strict=True))
    draw_memory_over_time(times, course.memory, at_rest, reloads, file)


def report(soak: Soak, good: Client, measured: list[BenchmarkResult]) -> None:
    """Print what became of all requests, and the figures."""
    print(f"good: {summary(good.outcome)}")
    for counts in (soak.tally.statuses, soak.tally.broken):
        for (kind, what), count in sorted(counts.items()):
            print(f"{kind}: {count} x {what or 'left'}")
    print("\n| Figure | Measured | Bound | Met |\n| --- | ---: | ---: | --- |")
    print(*measured, sep="\n")


if __name__ == "__main__":
    sys.exit(main())
