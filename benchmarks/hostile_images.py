"""What the service takes and how long good images wait while hostile ones are sent.

    python benchmarks/hostile_images.py FOLDER

FOLDER holds models/lentigo/<N>, one version. 200 images of 64 million pixels and few bytes are sent
over 8 connections; meanwhile one client sends an ordinary JPEG again and again, and another asks
for the health of the service.
"""

import argparse
import asyncio
import base64
import io
import itertools
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

import httpx
from PIL import Image

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
    }


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


def main() -> int:
    """Attack the service, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="holds models/lentigo/<N>, one version")
    parser.add_argument("--images", type=int, default=200, help="hostile images to send")
    arguments = parser.parse_args()
    recipe = ours("auto")

    async def run(base: str) -> dict[str, Times]:
        async with httpx.AsyncClient(base_url=base, timeout=120) as client:
            return await attack(client, recipe.path, arguments.images)

    with running(recipe, arguments.folder.absolute()) as server:
        before = peak_memory(server.process.pid)
        report(asyncio.run(run(server.base)))
        after = peak_memory(server.process.pid)
        print(f"peak memory {after:.0f} MiB, before the attack {before:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
