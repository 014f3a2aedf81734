"""Measure the gateway between a real Orthanc and the real service with the shipped model.

    .venv/bin/python -m benchmarks.gateway latency
    .venv/bin/python -m benchmarks.gateway throughput
    .venv/bin/python -m benchmarks.gateway memory
    .venv/bin/python -m benchmarks.gateway kills --instances 1000 --kills 50

`latency` is from an instance stored to its report stored, while nothing else is done. `throughput`
is of a study of 200 instances against the same images sent to the service by REST, with as many
connections as the gateway has workers. `memory` has 10,000 instances wait for a service that is
away, and is the most that the gateway takes until 200 of them are answered. `kills` is in
`benchmarks/gateway_kills.py`.
Everything listens on 127.0.0.1. The images are drawn by code.
"""

import argparse
import json
import sqlite3
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx

from benchmarks.gateway_bench import (
    CAPTURE,
    DRAWN,
    SR,
    STUDY,
    WORKERS,
    Bench,
    bench,
    log_of,
    states,
)
from benchmarks.gateway_kills import kills
from lentigo_gateway.uids import uid_maker
from tests.gateway.orthanc.archive import missing, until

DEADLINE_S: Final = 1_800.0
# As many entries as the bound on memory speaks of.
ENTRIES: Final = 10_000
# Enough of them that each worker has worked for a while.
ANSWERED: Final = 200


def latency(bench: Bench, instances: int) -> dict[str, Any]:
    """Store one instance at a time; wait for its report."""
    digest = bench.digest()
    fill_worklist(bench)
    bench.start_gateway()
    until(lambda: "gateway starts" in log_of(bench), "the gateway has started")
    took = []
    for number in range(instances):
        began = time.perf_counter()
        bench.archive.store(bench.image(number))
        wanted = report_uid(number, digest)
        until(lambda wanted=wanted: is_stored(bench, wanted), "the report is stored")
        took.append(time.perf_counter() - began)
    warm = sorted(took[2:])
    return {
        "instances": len(warm),
        "median_s": round(statistics.median(warm), 3),
        "p95_s": round(warm[int(0.95 * len(warm))], 3),
        "gateway_memory_mib": round(bench.memory_mib(), 1),
        "entries_in_the_work_list": ENTRIES + instances,
    }


def throughput(bench: Bench, instances: int) -> dict[str, Any]:
    """Compare a study through the gateway with the same images by REST."""
    files = [bench.image(number) for number in range(instances)]
    jpegs = [bench.jpegs[number % DRAWN] for number in range(instances)]
    send = by_rest(bench)
    list(map(send, jpegs[:10]))
    with ThreadPoolExecutor(WORKERS) as pool:
        before = bench.processor_s()["service"]
        began = time.perf_counter()
        list(pool.map(send, jpegs))
        rest_s = time.perf_counter() - began
        by_rest_s = bench.processor_s()["service"] - before
    for each in files:
        bench.archive.store(each)
    began = time.perf_counter()
    bench.start_gateway()
    until(lambda: "gateway starts" in log_of(bench), "the gateway has started")
    started_s = time.perf_counter() - began
    before_s = bench.processor_s()
    # Not by asking the archive, which would have more to do with that than with the results.
    until(lambda: states(bench) == {"done": instances}, "the work list is done", DEADLINE_S)
    gateway_s = time.perf_counter() - began - started_s
    took = bench.processor_s()
    return {
        "instances": instances,
        "reports": len(set(bench.stored(SR))),
        "pictures": len(set(bench.stored(CAPTURE))),
        "rest_per_s": round(instances / rest_s, 1),
        "gateway_per_s": round(instances / gateway_s, 1),
        "ratio": round(rest_s / gateway_s, 3),
        "processor_ms_by_rest": round(1000 * by_rest_s / instances, 1),
        "processor_ms": {
            name: round(1000 * (took[name] - before_s[name]) / instances, 1) for name in took
        },
        "gateway_memory_mib": round(bench.memory_mib(), 1),
    }


def memory(bench: Bench, instances: int) -> dict[str, Any]:
    """Have all instances on the list before one is answered; then answer some."""
    bench.end_service()
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda number: bench.archive.store(bench.image(number)), range(instances)))
    bench.start_gateway()
    until(lambda: "gateway starts" in log_of(bench), "the gateway has started")
    until(lambda: states(bench) == {"waiting": instances}, "all are on the list", DEADLINE_S)
    waiting = bench.memory_mib()
    bench.restart_service()
    answered = min(ANSWERED, instances)
    until(lambda: states(bench).get("done", 0) >= answered, "some are answered", DEADLINE_S)
    return {
        "entries_in_the_work_list": instances,
        "gateway_memory_mib": round(bench.memory_mib(), 1),
        "before_the_first_answer_mib": round(waiting, 1),
        "answered": states(bench)["done"],
    }


def report_uid(number: int, digest: str) -> str:
    """Return the UID that the report on an instance will have."""
    return uid_maker(f"{STUDY}.3.{number}", digest)("structured-report")


def is_stored(bench: Bench, uid: str) -> bool:
    query = {"Level": "Instance", "Query": {"SOPInstanceUID": uid}}
    return bool(bench.archive.client.post("/tools/find", json=query).json())


def by_rest(bench: Bench) -> Callable[[bytes], None]:
    """Return what sends an image as the gateway does."""
    client = httpx.Client(base_url=bench.service.url, timeout=60)
    headers = {"Content-Type": "image/jpeg"}

    def send(jpeg: bytes) -> None:
        params = {"explain": "true"}
        response = client.post("/v1/predictions", content=jpeg, headers=headers, params=params)
        response.raise_for_status()

    return send


def fill_worklist(bench: Bench) -> None:
    """Have as many finished entries as an archive of some years leaves."""
    with sqlite3.connect(bench.folder / "worklist/worklist.sqlite3") as connection:
        connection.executemany(
            "INSERT INTO entries (sop_instance_uid, series_instance_uid, study_instance_uid, "
            "model_digest, locator, state, due, found_at, changed_at) "
            "VALUES (?, '1.2.3', '1.2', ?, 'dicomweb', 'done', 0, ?, ?)",
            [
                (f"1.2.3.4.{number}", "a" * 64, time.time(), time.time())
                for number in range(ENTRIES)
            ],
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["latency", "throughput", "memory", "kills"])
    parser.add_argument("--instances", type=int)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    if missing():
        parser.exit(1, f"{missing()}: apt-get install orthanc orthanc-dicomweb\n")
    with bench() as running:
        if chosen.what == "latency":
            found = latency(running, chosen.instances or 50)
        elif chosen.what == "throughput":
            found = throughput(running, chosen.instances or 200)
        elif chosen.what == "memory":
            found = memory(running, chosen.instances or ENTRIES)
        else:
            found = kills(running, chosen.instances or 1_000, chosen.kills, chosen.seed)
        print(json.dumps({"what": chosen.what, **found}, indent=2), flush=True)
        if found.get("wrong"):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
