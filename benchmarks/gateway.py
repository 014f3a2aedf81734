"""Measure the gateway between a real Orthanc and the real service with the shipped model.

    .venv/bin/python -m benchmarks.gateway latency
    .venv/bin/python -m benchmarks.gateway throughput
    .venv/bin/python -m benchmarks.gateway kills --instances 1000 --kills 50

`latency` is from an instance stored to its report stored, while nothing else is done. `throughput`
is of a study of 200 instances against the same images sent to the service by REST, with as many
connections as the gateway has workers. `kills` ends gateway, archive and service by SIGKILL, in
turn and at random moments, and counts what was lost or answered twice.
Everything listens on 127.0.0.1. The images are drawn by code.
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
from pydicom.encaps import encapsulate

from benchmarks.synthetic.lesion import draw_nevus
from lentigo_gateway.uids import uid_maker
from tests.e2e.service_process import ServiceProcess, environment
from tests.fakes import jpeg_bytes
from tests.gateway.dicom import dermoscopic, file_of
from tests.gateway.orthanc.archive import OrthancProcess, missing, until
from tests.ports import free_port

SHIPPED: Final = Path(__file__).parents[1] / "models"
SR: Final = "1.2.840.10008.5.1.4.1.1.88.34"
CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
STUDY: Final = "1.2.826.0.1.3680043.8.498.7"
WORKERS: Final = 3
DRAWN: Final = 20
DEADLINE_S: Final = 1_800.0
# As many finished entries as the bound on memory speaks of.
ENTRIES: Final = 10_000


class Bench:
    """The three programs, each a process that can be killed and started again."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        (folder / "orthanc").mkdir()
        self.archive = OrthancProcess(folder / "orthanc")
        stack.callback(self.archive.close)
        self._service_settings = environment(
            SHIPPED, LENTIGO_PORT=str(free_port()), LENTIGO_LOG_LEVEL="info"
        )
        self.service = ServiceProcess(self._service_settings)
        stack.callback(self._end_service)
        self.jpegs = [jpeg_bytes(draw_nevus(seed)) for seed in range(DRAWN)]
        self.config = folder / "gateway.toml"
        self.config.write_text(
            f"""
            [service]
            url = "{self.service.url}"
            [archive]
            url = "{self.archive.url}/dicom-web"
            [sources.orthanc]
            url = "{self.archive.url}"
            start = "beginning"
            [worklist]
            folder = "{folder}/worklist"
            workers = {WORKERS}
            [log]
            format = "json"
            """
        )
        self.gateway: subprocess.Popen[bytes] | None = None
        stack.callback(self.kill_gateway)

    def start_gateway(self) -> None:
        """Start it; its log goes on in one file."""
        with (self.folder / "gateway.log").open("ab") as log:
            self.gateway = subprocess.Popen(
                [sys.executable, "-m", "lentigo_gateway", "run", "--config", str(self.config)],
                stderr=log,
                start_new_session=True,
            )

    def kill_gateway(self) -> None:
        """End it by SIGKILL."""
        if self.gateway is not None:
            self.gateway.send_signal(signal.SIGKILL)
            self.gateway.wait()
            self.gateway = None

    def restart_gateway(self) -> None:
        """Kill it and start it."""
        self.kill_gateway()
        self.start_gateway()

    def restart_archive(self) -> None:
        """Kill it and start it, with what it has stored."""
        self.archive.kill()
        self.archive.start()

    def restart_service(self) -> None:
        """Kill it and start it on the same port."""
        self._end_service()
        self.service = ServiceProcess(self._service_settings)

    def _end_service(self) -> None:
        self.service.process.kill()
        self.service.join()
        self.service.client.close()

    def image(self, number: int) -> bytes:
        """Return the DICOM file of an instance; every one has a UID of its own."""
        image = dermoscopic(number, study=STUDY)
        jpeg = self.jpegs[number % DRAWN]
        image.PixelData = encapsulate([jpeg])
        image.Columns, image.Rows = 600, 450
        return file_of(image)

    def stored(self, sop_class: str) -> list[str]:
        """Return the UIDs of the instances of a class, each as often as the archive has it."""
        found: list[str] = []
        while True:
            response = self.archive.client.get(
                "/dicom-web/instances",
                params={"SOPClassUID": sop_class, "limit": 500, "offset": len(found)},
                headers={"Accept": "application/dicom+json"},
            )
            page = response.json() if response.content else []
            found += [each["00080018"]["Value"][0] for each in page]
            if len(page) < 500:
                return found

    def digest(self) -> str:
        """Return the digest of the model in use."""
        digest: str = self.service.client.get("/v1/models").json()["models"][0]["digest"]
        return digest

    def processor_s(self) -> dict[str, float]:
        """Return the processor time that each program has taken so far, in seconds."""
        programs = {"archive": self.archive.process, "service": self.service.process}
        if self.gateway is not None:
            programs["gateway"] = self.gateway
        ticks = os.sysconf("SC_CLK_TCK")
        found = {}
        for name, process in programs.items():
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            found[name] = (int(fields[11]) + int(fields[12])) / ticks
        return found

    def memory_mib(self) -> float:
        """Return the most memory that the gateway has had so far, in MiB."""
        if self.gateway is None:
            return 0.0
        status = Path(f"/proc/{self.gateway.pid}/status").read_text()
        (line,) = [each for each in status.splitlines() if each.startswith("VmHWM")]
        return int(line.split()[1]) / 1024


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


def kills(bench: Bench, instances: int, number_of_kills: int, seed: int) -> dict[str, Any]:
    """Kill at random while a study is stored and answered; count what is missing or twice."""
    digest = bench.digest()
    chooser = random.Random(seed)
    restarts: list[tuple[str, Callable[[], None]]] = [
        ("gateway", bench.restart_gateway),
        ("archive", bench.restart_archive),
        ("service", bench.restart_service),
    ]
    killed: Counter[str] = Counter()
    bench.start_gateway()
    accepted: list[int] = []
    pending = list(range(instances))
    portion = max(1, instances // (number_of_kills + 1))
    for place in range(number_of_kills):
        for _ in range(min(portion, len(pending))):
            number = pending.pop(0)
            bench.archive.store(bench.image(number))
            accepted.append(number)
        time.sleep(chooser.uniform(0, 0.5))
        name, restart = restarts[place % len(restarts)]
        restart()
        killed[name] += 1
    for number in pending:
        bench.archive.store(bench.image(number))
        accepted.append(number)
    wanted = {report_uid(number, digest) for number in accepted}
    until(lambda: wanted <= set(bench.stored(SR)), "all reports are stored", DEADLINE_S)
    until(lambda: len(bench.stored(CAPTURE)) >= instances, "all pictures are stored", DEADLINE_S)
    until(lambda: set(states(bench)) <= {"done"}, "the work list is done", DEADLINE_S)
    reports, captures = bench.stored(SR), bench.stored(CAPTURE)
    return {
        "instances": instances,
        "killed": dict(killed),
        "lost": len(wanted - set(reports)),
        "answered_twice": len(reports) - len(set(reports) & wanted),
        "pictures": len(captures),
        "states": states(bench),
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
    bench.start_gateway()
    database = bench.folder / "worklist/worklist.sqlite3"
    until(lambda: "gateway starts" in log_of(bench), "the gateway has started")
    bench.kill_gateway()
    (bench.folder / "gateway.log").unlink()
    with sqlite3.connect(database) as connection:
        connection.executemany(
            "INSERT INTO entries (sop_instance_uid, series_instance_uid, study_instance_uid, "
            "model_digest, locator, state, due, found_at, changed_at) "
            "VALUES (?, '1.2.3', '1.2', ?, 'dicomweb', 'done', 0, ?, ?)",
            [
                (f"1.2.3.4.{number}", "a" * 64, time.time(), time.time())
                for number in range(ENTRIES)
            ],
        )


def log_of(bench: Bench) -> str:
    path = bench.folder / "gateway.log"
    return path.read_text() if path.exists() else ""


def states(bench: Bench) -> dict[str, int]:
    with sqlite3.connect(bench.folder / "worklist/worklist.sqlite3") as connection:
        query = "SELECT state, COUNT(*) FROM entries GROUP BY state"
        return dict(connection.execute(query).fetchall())


@contextmanager
def bench() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        yield Bench(Path(folder), stack)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["latency", "throughput", "kills"])
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
        else:
            found = kills(running, chosen.instances or 1_000, chosen.kills, chosen.seed)
    print(json.dumps({"what": chosen.what, **found}, indent=2))


if __name__ == "__main__":
    main()
