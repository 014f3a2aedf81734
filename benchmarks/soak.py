"""A day in the life of the service: mixed clients, reloads, and what memory does.

    python benchmarks/soak.py [--minutes 60] [--model models/lentigo/4] [--plot soak.svg]

A real service process answers good clients, whose every answer is compared with what it says of the
same picture alone. Meanwhile others send what is refused, send slowly, leave before the answer,
never read it, or attack with tiny images of many pixels and with pipelined requests; and the
version is loaded anew 30 times. Ends with a table of figures and their bounds, and with exit code 1
if one is missed. Clients and service share this machine.
"""

import argparse
import asyncio
import json
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import numpy as np

from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.repository.layout import MANIFEST_NAME
from load.generator import Client, Connection, Target
from load.results import BenchmarkResult, at_most, draw_memory_over_time, summary
from load.servers import Recipe, Running, add_key, draw_pictures, ours, running
from load.soak_clients import Crowd, Tally, post
from serving import shipped

RELOADS: Final = 30
GOOD_CLIENTS: Final = 4
SAMPLES: Final = 720
_HEALTH_PAUSE_S: Final = 0.5
# Clients may make the service wait for as long as it lets them.
_RELOAD_S: Final = 120.0


@dataclass
class Course:
    """What was observed, by seconds since the start.

    Attributes:
        times: of the samples of memory.
        memory: MiB that the service holds.
        reloads: when each reload had ended.
        failed_reloads: answers to reloads other than 200.
        health: milliseconds of each answer about the health of the service.
    """

    times: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    reloads: list[float] = field(default_factory=list)
    failed_reloads: int = 0
    health: list[float] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """Memory in the last tenth, as a multiple of that in the second tenth; medians."""
        tenth = max(1, len(self.memory) // 10)
        return statistics.median(self.memory[-tenth:]) / statistics.median(
            self.memory[tenth : 2 * tenth] or self.memory
        )


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

    @property
    def _elapsed(self) -> float:
        return time.perf_counter() - self._began

    async def last(self, recipe: Recipe, keys: dict[str, str]) -> Client:
        """Let all clients work until the time is over; return the good ones."""
        targets = {
            kind: Target(self.server.base + recipe.path, "multipart", authorization(key))
            for kind, key in keys.items()
        }
        good = Client(targets["good"], [targets["good"].request(each) for each in self.pictures])
        await good.learn()
        crowd = Crowd(targets, self.pictures, good.expected, self.tally)
        clients = crowd.clients()
        self._began = time.perf_counter()

        async def keep_asking() -> None:
            await good.closed(GOOD_CLIENTS, self.seconds)
            crowd.stop()

        async with asyncio.TaskGroup() as group:
            for each in clients:
                group.create_task(each)
            group.create_task(self._watch_memory())
            group.create_task(self._reload(targets["admin"]))
            group.create_task(self._watch_health())
            group.create_task(keep_asking())
        return good

    async def _watch_memory(self) -> None:
        while self._elapsed < self.seconds:
            self.course.times.append(self._elapsed)
            self.course.memory.append(await asyncio.to_thread(self.server.memory))
            await asyncio.sleep(self.seconds / SAMPLES)

    async def _reload(self, admin: Target) -> None:
        request = post(admin, b"{}", "application/json", path="/v2/repository/models/lentigo/load")
        for number in range(RELOADS):
            await asyncio.sleep(max(0, (number + 0.5) * self.seconds / RELOADS - self._elapsed))
            try:
                async with asyncio.timeout(_RELOAD_S):
                    status = await self._status(request)
            except (OSError, TimeoutError):
                status = 0
            self.course.failed_reloads += status != 200
            self.course.reloads.append(self._elapsed)

    async def _watch_health(self) -> None:
        request = f"GET /v2/health/live HTTP/1.1\r\nHost: {self._netloc}\r\n\r\n".encode()
        while self._elapsed < self.seconds:
            began = time.perf_counter()
            with suppress(OSError):
                await self._status(request)
                self.course.health.append(1000 * (time.perf_counter() - began))
            await asyncio.sleep(_HEALTH_PAUSE_S)

    @property
    def _netloc(self) -> str:
        return urlsplit(self.server.base).netloc

    async def _status(self, request: bytes) -> int:
        parts = urlsplit(self.server.base)
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, parts.hostname, parts.port)
        try:
            return (await connection.ask(request)).status
        finally:
            connection.close()

    def results(self, good: Client) -> list[BenchmarkResult]:
        """Return the figures beside their bounds."""
        said = good.outcome
        dishonest = sum(self.tally.dishonest.values()) + sum(
            count for what, count in said.failed.items() if what.startswith("5")
        )
        lost = sum(count for what, count in said.failed.items() if not what.startswith("5"))
        return [
            at_most("wrong answers", said.wrong + self.tally.wrong, 0),
            at_most("5xx other than an honest 503", dishonest, 0),
            at_most("good requests that failed otherwise", lost, 0),
            at_most(f"failed reloads of {RELOADS}", self.course.failed_reloads, 0),
            at_most("memory at the end / after the start", self.course.growth, 1.05),
            at_most("health, p99, ms", float(np.percentile(self.course.health, 99)), 100),
            BenchmarkResult("health, slowest, ms", max(self.course.health)),
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
    parser.add_argument("--engine", default="litert", help="of LENTIGO_ENGINE")
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
        file = folder / "keys.json"
        kinds = ("good", "bad", "slow", "leaving", "hostile")
        keys = {kind: add_key(file, "predict", name=kind) for kind in kinds}
        keys["admin"] = add_key(file, "admin")
        recipe = ours(arguments.engine, LENTIGO_KEY_FILE=str(file))
        with running(recipe, folder, authorization(keys["good"])) as server:
            soak = Soak(server, 60 * arguments.minutes, pictures)
            good = asyncio.run(soak.last(recipe, keys))
    measured = soak.results(good)
    report(soak, good, measured)
    minutes, marks = (
        [each / 60 for each in seconds] for seconds in (soak.course.times, soak.course.reloads)
    )
    draw_memory_over_time(minutes, soak.course.memory, marks, arguments.plot)
    if arguments.json:
        figures = [vars(each) for each in measured]
        observed = {"figures": figures, "course": vars(soak.course)}
        arguments.json.write_text(json.dumps(observed, indent=2) + "\n")
    return int(any(each.met is False for each in measured))


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
