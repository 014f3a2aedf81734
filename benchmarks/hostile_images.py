"""What the service takes and how long good images wait while hostile ones are sent.

    python benchmarks/hostile_images.py FOLDER

FOLDER holds models/lentigo/<N>, one version. 200 images are sent over 8 connections, of 64 million
pixels in few bytes, or whose structure costs far more than their size; meanwhile one client sends
an ordinary JPEG again and again, and another asks for the health of the service. Ends with the
figures and their bounds, and with exit code 1 if one is missed.
"""

import argparse
import asyncio
import base64
import io
import itertools
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

import httpx
from PIL import Image

from load.results import BenchmarkResult, at_most
from load.servers import ours, running
from synthetic.lesion import nevus_jpeg

CONNECTIONS: Final = 8
PAUSE_S: Final = 0.02
_SIDE: Final = 8000

Times = list[tuple[int, float]]
"""Statuses, and seconds until they came."""


def hostile() -> dict[str, bytes]:
    """Draw one image of each kind."""
    flat = {mode: Image.new(mode, (_SIDE, _SIDE)) for mode in ("RGB", "RGBA", "I;16", "P")}
    return {
        "WebP, 38 bytes": base64.b64decode("UklGRh4AAABXRUJQVlA4TBEAAAAvP9/PFwdQsgJWq2SBiOh/AAA="),
        "PNG RGBA": encoded(flat["RGBA"], "PNG"),
        "PNG of 16 bits": encoded(flat["I;16"], "PNG"),
        "PNG with a hidden colour": encoded(flat["P"], "PNG", transparency=0),
        "TIFF RGBA": encoded(flat["RGBA"], "TIFF", compression="tiff_lzw"),
        "JPEG, progressive": encoded(flat["RGB"], "JPEG", progressive=True),
        "WebP of 12 million pixels": encoded(
            Image.new("RGBA", (4000, 3000)), "WEBP", lossless=True, method=0
        ),
        "PNG of many profiles": _many_profiles(),
        "TIFF of many tiles": _many_tiles(),
        "JPEG full of fill bytes": encoded(Image.new("L", (64, 64)), "JPEG")[:-2]
        + b"\xff" * 15_000_000
        + b"\xff\xd9",
    }


def _many_profiles() -> bytes:
    """Give a PNG of 2 MB whose profiles unpack to 2 GB."""
    content = b"iCCPa\x00\x00" + zlib.compress(bytes(2**20 - 64), 9)
    profile = struct.pack(">I", len(content) - 4) + content
    profile += struct.pack(">I", zlib.crc32(content))
    whole = encoded(Image.new("L", (64, 64)), "PNG")
    # Behind the signature and the header.
    return whole[:33] + profile * 2000 + whole[33:]


def _many_tiles() -> bytes:
    """Give a TIFF of half a million tiles of one pixel."""
    across, down, short = 1000, 500, 4
    count = across * down
    pixels = bytes(count)
    tags = {256: across, 257: down, 258: 8, 259: 1, 262: 1, 277: 1, 322: 1, 323: 1}
    entries = [(tag, 1, value) for tag, value in tags.items()]
    places, sizes = 8 + count, 8 + count + 4 * count
    entries += [(324, count, places), (325, count, sizes)]
    return b"".join(
        (
            b"II*\x00" + struct.pack("<I", sizes + 4 * count),
            pixels,
            struct.pack("<I", 8) * count,
            struct.pack("<I", 1) * count,
            struct.pack("<H", len(entries)),
            *(struct.pack("<HHII", tag, short, number, value) for tag, number, value in entries),
            bytes(4),
        )
    )


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """Encode an image; `options` are Pillow's."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


async def attack(client: httpx.AsyncClient, path: str, images: int) -> dict[str, Times]:
    """Send hostile images, each kind in turn, and good ones meanwhile; return all times."""
    good = nevus_jpeg(1)
    times: dict[str, Times] = {"good": [], "health": []}
    waiting: Iterator[tuple[str, bytes]] = itertools.islice(
        itertools.cycle(hostile().items()), images
    )
    done = asyncio.Event()

    async def send(name: str, data: bytes) -> None:
        headers = {"Content-Type": "application/octet-stream"}
        request = client.post(path, content=data, headers=headers)
        times.setdefault(name, []).append(await timed(request))

    async def attacker() -> None:
        for name, data in waiting:
            await send(name, data)

    async def again(act: Callable[[], Awaitable[None]]) -> None:
        while not done.is_set():
            await act()
            await asyncio.sleep(PAUSE_S)

    async def look() -> None:
        times["health"].append(await timed(client.get("/v2/health/live")))

    async with asyncio.TaskGroup() as group:
        group.create_task(again(lambda: send("good", good)))
        group.create_task(again(look))
        await asyncio.gather(*(attacker() for _ in range(CONNECTIONS)))
        done.set()
    return times


async def timed(request: Awaitable[httpx.Response]) -> tuple[int, float]:
    """Return the status and the seconds until it came."""
    began = time.perf_counter()
    return (await request).status_code, time.perf_counter() - began


def peak_memory(pid: int) -> float:
    """MiB that a process held at most."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def report(times: dict[str, Times]) -> None:
    """Print a row for each kind."""
    for name, answers in times.items():
        seconds = sorted(took for _, took in answers)
        late = seconds[min(len(seconds) - 1, int(len(seconds) * 0.99))]
        statuses = dict(sorted(Counter(status for status, _ in answers).items()))
        print(
            f"{name:26} {len(answers):5}  p50 {seconds[len(seconds) // 2] * 1000:7.0f} ms  "
            f"p99 {late * 1000:7.0f} ms  {statuses}"
        )


def under_attack(folder: Path, images: int = 200) -> list[BenchmarkResult]:
    """Attack a service with the version in a folder, print what came of it, and return figures."""
    recipe = ours("auto")

    async def run(base: str) -> dict[str, Times]:
        async with httpx.AsyncClient(base_url=base, timeout=120) as client:
            return await attack(client, recipe.path, images)

    with running(recipe, folder.absolute()) as server:
        before = peak_memory(server.process.pid)
        times = asyncio.run(run(server.base))
        after = peak_memory(server.process.pid)
    print(f"\n{images} hostile images; peak memory before {before:.0f} MiB, after {after:.0f} MiB")
    report(times)
    good, health = (
        [1000 * took for status, took in times[kind] if status == 200]
        for kind in ("good", "health")
    )
    failed = sum(
        status >= 500 and status != 503 for answers in times.values() for status, _ in answers
    )
    return [
        at_most("hostile images: peak memory, MiB", after, 600),
        at_most("hostile images: good ones meanwhile, p99, ms", _late(good), 1000),
        at_most("hostile images: 5xx but 503", failed, 0),
        at_most("hostile images: slowest health, ms", max(health, default=None), 100),
    ]


def _late(milliseconds: list[float]) -> float | None:
    """Return the 99th percentile; None of nothing."""
    ordered = sorted(milliseconds)
    return ordered[int(len(ordered) * 0.99)] if ordered else None


def main() -> int:
    """Parse, attack, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="holds models/lentigo/<N>, one version")
    parser.add_argument("--images", type=int, default=200, help="hostile images to send")
    arguments = parser.parse_args()
    measured = under_attack(arguments.folder, arguments.images)
    print("\n| Figure | Measured | Bound | Met |\n| --- | ---: | ---: | --- |")
    print(*measured, sep="\n")
    return int(any(each.met is False for each in measured))


if __name__ == "__main__":
    sys.exit(main())
