"""What `describe=true` costs: time with it over time without, in one run.

    .venv/bin/python -m benchmarks.lesion.description_cost [--requests 200]

The shipped model in a service of its own, one client, one request at a time. Requests with and
without take turns, in an order drawn anew for each pair, so that a machine that slows down slows
both. The description is made while the network runs, so the ratio depends on whether there is a
second core; `--cores 1` keeps the service to one. Images are made by code, 600 x 450 pixels.
"""

import argparse
import os
import random
import statistics
import time
from pathlib import Path

import numpy as np

from benchmarks.synthetic.lesion import nevus_jpeg
from tests.e2e.page.conftest import SHIPPED
from tests.e2e.service_process import ServiceProcess, service_process

IMAGES = 20


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare requests with and without describe=true.")
    parser.add_argument("--requests", type=int, default=200, help="of each kind")
    parser.add_argument("--cores", type=int, help="of the service; all if not given")
    arguments = parser.parse_args()
    images = [nevus_jpeg(seed) for seed in range(IMAGES)]
    draw = random.Random(0)
    times: dict[bool, list[float]] = {False: [], True: []}
    described = 0
    with service_process(SHIPPED) as service:
        service.logged("model in use")
        if arguments.cores and hasattr(os, "sched_setaffinity"):
            keep_to(service.process.pid, arguments.cores)
        for number in range(-10, arguments.requests):
            for describe in draw.sample((False, True), 2):
                seconds, was_described = timed(service, images[number % IMAGES], describe=describe)
                # The first ones warm up.
                if number >= 0:
                    times[describe].append(1000 * seconds)
                    described += was_described
    report(times, described)


def keep_to(pid: int, cores: int) -> None:
    """Keep all threads of a process to its first cores."""
    own = sorted(os.sched_getaffinity(pid))[:cores]
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), own)


def timed(service: ServiceProcess, image: bytes, *, describe: bool) -> tuple[float, bool]:
    """Return the seconds of one request, and whether its answer describes a lesion."""
    started = time.perf_counter()
    response = service.client.post(
        "/v1/predictions",
        content=image,
        params={"describe": "true"} if describe else {},
        headers={"Content-Type": "image/jpeg"},
    )
    took = time.perf_counter() - started
    response.raise_for_status()
    return took, response.json().get("description", {}).get("described", False)


def report(times: dict[bool, list[float]], described: int) -> None:
    """Print medians and their ratio, with an interval by resampling the pairs."""
    without, along = np.array(times[False]), np.array(times[True])
    for name, each in (("without", without), ("describe=true", along)):
        low, high = np.quantile(each, (0.1, 0.9))
        print(
            f"{name:14} median {statistics.median(each):7.2f} ms "
            f"(10 to 90%: {low:.2f} to {high:.2f})"
        )
    rows = np.random.default_rng(0).integers(0, len(along), (2000, len(along)))
    ratios = np.median(along[rows], axis=1) / np.median(without[rows], axis=1)
    low, high = np.quantile(ratios, (0.025, 0.975))
    print(
        f"ratio {np.median(along) / np.median(without):.3f} "
        f"(95% interval {low:.3f} to {high:.3f}), n = {len(along)} of each, "
        f"{described} described; bound: 1.25"
    )


if __name__ == "__main__":
    main()
