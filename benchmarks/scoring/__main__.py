"""Measure `lentigo-inference score` with the shipped model.

    .venv/bin/python -m benchmarks.scoring local --images 10000
    .venv/bin/python -m benchmarks.scoring ray --images 10000
    .venv/bin/python -m benchmarks.scoring memory
    .venv/bin/python -m benchmarks.scoring kills --times 20
    .venv/bin/python -m benchmarks.scoring nodes --source DIR
    .venv/bin/python -m benchmarks.scoring driver

`local` compares images a second with those of as many processes that do nothing but read, decode
and compute, and so does `ray` for a cluster of one node on this machine. They take turns, and the
median of the rounds counts. Loading the model is in neither, writing the rows is.
`memory` is the most that all processes hold together, for 1,000 images and for 100,000; all but one
in a hundred are too dark to be judged, so that it takes minutes.
`kills` ends the driver, and a node of a cluster of three, by SIGKILL at random moments, runs the
same command again where the driver was killed, and counts what was lost or doubled.
`nodes` scores one archive locally and on three nodes of which one is killed, and compares the rows.
`driver` is what one driver hands out and writes if scoring took no time: a table of URLs, workers
that answer at once.
`ray`, `kills` and `nodes` need Ray. The images are drawn by code unless `--source` names others.
"""

import argparse
import json
import os
import pickle
import random
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from benchmarks.scoring.cluster import Cluster, cluster
from benchmarks.scoring.reference import reference
from benchmarks.synthetic.lesion import draw_nevus
from lentigo_contract.system.resources import available_cores
from lentigo_inference.scoring.items import Content, Item, Task
from lentigo_inference.scoring.prepare import prepare
from lentigo_inference.scoring.progress import Progress
from lentigo_inference.scoring.results import open_results
from lentigo_inference.scoring.rows import Row
from lentigo_inference.scoring.run import Run
from lentigo_inference.scoring.scorer import Scorer, load_scoring_model
from lentigo_inference.scoring.sources.folder import FolderSource
from lentigo_inference.scoring.sources.table import TableSource
from lentigo_inference.scoring.workers.base import Scored
from lentigo_inference.settings import Settings
from tests.e2e.service_process import environment
from tests.fakes import jpeg_bytes

SHIPPED: Final = Path(__file__).parents[2] / "models"
ENGINE: Final = os.environ.get("LENTIGO_ENGINE", "litert")
DRAWN: Final = 20
COMMAND: Final = (sys.executable, "-m", "lentigo_inference", "score")
_RATE: Final = re.compile(r"([\d,.]+) images/s")


def drawn_folder(folder: Path, images: int) -> Path:
    """Make a folder of nevi of 600 x 450; each of them stands in it many times, as a hard link."""
    folder.mkdir()
    for number in range(images):
        path = folder / f"{number:06}.jpg"
        first = folder / f"{number % DRAWN:06}.jpg"
        if number < DRAWN:
            path.write_bytes(jpeg_bytes(draw_nevus(number)))
        else:
            path.hardlink_to(first)
    return folder


def dark_folder(folder: Path, images: int) -> Path:
    """Make a folder of small images, all but one in a hundred too dark for the network to run."""
    folder.mkdir()
    small = draw_nevus(1).resize((128, 128))
    kinds = (jpeg_bytes(small.point([value // 20 for value in range(256)] * 3)), jpeg_bytes(small))
    for number in range(images):
        path = folder / f"{number:06}.jpg"
        light = number % 100 == 0
        # A file system allows some 65,000 links to a file.
        first = number - number % 30_000 + (0 if light else 1)
        if number == first:
            path.write_bytes(kinds[light])
        else:
            path.hardlink_to(folder / f"{first:06}.jpg")
    return folder


def start(source: Path, to: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, str(source), "--to", str(to), *options],
        env=environment(SHIPPED, LENTIGO_ENGINE=ENGINE),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(source: Path, to: Path, *options: str) -> float:
    """Score an archive, and return the images a second that the command names at its end."""
    process = start(source, to, *options)
    _, err = process.communicate()
    if process.returncode != 0:
        raise SystemExit(err)
    return float(_RATE.findall(err)[-1].replace(",", ""))


def ratio(folder: Path, source: Path, rounds: int, *options: str) -> dict[str, Any]:
    prepared = prepare(Settings(model_repository=SHIPPED, engine="litert"), 60)
    cores = available_cores()
    alone, scored = [], []
    for number in range(rounds):
        alone.append(reference(source, prepared, cores))
        scored.append(run(source, folder / f"out-{number}", *options))
        print(f"round {number}: {alone[-1]:.1f} in process, {scored[-1]:.1f} scored", flush=True)
    return {
        "images": sum(1 for _ in source.rglob("*.jpg")),
        "rounds": rounds,
        "cores": cores,
        "in_process": alone,
        "score": scored,
        "ratio": statistics.median(scored) / statistics.median(alone),
    }


def local(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    source = options.source or drawn_folder(folder / "in", options.images)
    return ratio(folder, source, options.rounds)


def on_ray(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    source = options.source or drawn_folder(folder / "in", options.images)
    with cluster(folder / "ray", 1, available_cores()) as running:
        return ratio(folder, source, options.rounds, "--ray", running.address)


def memory(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    peaks = {}
    for images in (1_000, options.images):
        source = dark_folder(folder / f"in-{images}", images)
        process = start(source, folder / f"out-{images}")
        peaks[images] = _peak(process)
        print(f"{images:,} images: {peaks[images] / 2**20:.1f} MiB", flush=True)
    first, last = peaks.values()
    return {"peak_bytes": peaks, "growth": last / first - 1}


def _peak(process: subprocess.Popen[str]) -> int:
    """Return the sum of the most that the processes of a session ever held (VmHWM)."""
    most: dict[int, int] = {}
    reader = threading.Thread(target=process.communicate)
    reader.start()
    while reader.is_alive():
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    if os.getsid(int(entry.name)) != process.pid:
                        continue
                    held = re.search(r"VmHWM:\s+(\d+)", (entry / "status").read_text())
                except OSError:
                    continue
                if held:
                    most[int(entry.name)] = 1024 * int(held[1])
        reader.join(0.2)
    return sum(most.values())


def kills(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    source = options.source or drawn_folder(folder / "in", options.images)
    with cluster(folder / "ray", 3) as running:
        return kill_each(running, source, folder, options.times)


def kill_each(running: Cluster, source: Path, folder: Path, times: int) -> dict[str, Any]:
    """Kill the driver and a node in turn, so many times in all."""
    expected = [found.path for found in FolderSource(source, 2**20).images()]
    chance = random.Random(1)
    counts = {"driver": 0, "node": 0, "lost": 0, "doubled": 0, "failed": 0}
    for number in range(times):
        to = folder / f"out-{number}"
        scored = ("--ray", running.address, "--part-size", "50")
        victim = "driver" if number % 2 else "node"
        process = start(source, to, *scored)
        output = _communicating(process)
        _until_some_rows(process, to, chance)
        if victim == "driver":
            process.kill()
        else:
            running.kill(2 + number // 2 % 2)
        output.join()
        if victim == "driver":
            run(source, to, *scored)
        elif process.returncode != 0:
            raise SystemExit(f"the run ended with {process.returncode}")
        else:
            running.start(2 + number // 2 % 2)
        rows = _rows(to, ["item", "path", "error"])
        items = [row["item"] for row in rows]
        counts[victim] += 1
        counts["lost"] += len(set(range(len(expected))) - set(items))
        counts["doubled"] += len(items) - len(set(items))
        counts["failed"] += sum(row["error"] is not None for row in rows)
        if [row["path"] for row in rows] != expected:
            raise SystemExit("the rows are those of other images")
        print(number, counts, flush=True)
    return {"images": len(expected), **counts}


def nodes(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    source = options.source or drawn_folder(folder / "in", options.images)
    started = time.perf_counter()
    rate = run(source, folder / "local")
    local_s = time.perf_counter() - started
    with cluster(folder / "ray", 3) as running:
        started, used = time.perf_counter(), _processor_s()
        process = start(source, folder / "nodes", "--ray", running.address)
        output = _communicating(process)
        _until_some_rows(process, folder / "nodes", random.Random(1))
        killed = running.kill(3)
        output.join()
        nodes_s, driver_s = time.perf_counter() - started, _processor_s() - used
    if process.returncode != 0:
        raise SystemExit("the run on three nodes failed")
    first, second = _rows(folder / "local"), _rows(folder / "nodes")
    return {
        "rows": (len(first), len(second)),
        "digests": len({row["sha256"] for row in second}),
        "equal": first == second,
        "processes_killed": killed,
        "local_s": local_s,
        "local_images_per_second": rate,
        "nodes_s": nodes_s,
        "driver_processor_s": driver_s,
        "counts": json.loads((folder / "nodes/summary.json").read_text()),
    }


class InstantWorkers:
    """Workers that have a row for every image at once; see `Workers`."""

    size = 1000

    def __init__(self, row: Row) -> None:
        self._row = row
        self._tasks: list[Task] = []

    @property
    def room(self) -> int:
        """See `Workers`."""
        return self.size - len(self._tasks)

    def submit(self, task: Task) -> None:
        """See `Workers`."""
        # It goes to another process in earnest.
        self._tasks.append(pickle.loads(pickle.dumps(task)))  # noqa: S301 - our own

    def wait(self, timeout_s: float) -> Sequence[Scored]:
        """See `Workers`."""
        del timeout_s
        scored = [
            Scored(
                task, [replace(self._row, item=each.number, path=each.path) for each in task.items]
            )
            for task in self._tasks
        ]
        self._tasks.clear()
        return pickle.loads(pickle.dumps(scored))  # type: ignore[no-any-return]  # noqa: S301

    def close(self) -> None:
        """See `Workers`."""


def driver(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    prepared = prepare(Settings(model_repository=SHIPPED, engine="litert"), 60)
    model = load_scoring_model(prepared.root, prepared.model)
    scorer = Scorer(model, prepared.limits)
    item = Item(0, "x", Content(jpeg_bytes(draw_nevus(1))))
    workers = InstantWorkers(scorer.score(Task(0, (item,)))[0])
    table = folder / "list.csv"
    table.write_text(
        "url\n" + "".join(f"s3://archive/2026/11/30/{n:09}.jpg\n" for n in range(options.images))
    )
    source = TableSource(table)
    progress = Progress(sys.stderr)
    run_document = {"source": source.identity, **prepared.document}
    started, used = time.perf_counter(), time.process_time()
    with open_results(folder / "out", run_document, prepared.answered_by, 1000) as results:
        Run(results, progress).score(source.images(), lambda: workers)
    seconds, processor_s = time.perf_counter() - started, time.process_time() - used
    return {
        "images": options.images,
        "images_per_second": options.images / seconds,
        "images_per_processor_second": options.images / processor_s,
    }


def _processor_s() -> float:
    """Processor time of the processes that were started here and have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _communicating(process: subprocess.Popen[str]) -> threading.Thread:
    thread = threading.Thread(target=process.communicate)
    thread.start()
    return thread


def _until_some_rows(process: subprocess.Popen[str], to: Path, chance: random.Random) -> None:
    """Wait for the first part, and then a moment longer."""
    while process.poll() is None and not any((to / "rows").glob("part-*")):
        time.sleep(0.05)
    time.sleep(chance.random() * 3)


def _rows(to: Path, columns: list[str] | None = None) -> list[dict[str, Any]]:
    return [
        row
        for part in sorted((to / "rows").glob("part-*.parquet"))
        for row in pq.read_table(part, columns=columns).to_pylist()
    ]


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    measures: dict[str, Callable[[argparse.Namespace, Path], dict[str, Any]]] = {
        "local": local,
        "ray": on_ray,
        "memory": memory,
        "kills": kills,
        "nodes": nodes,
        "driver": driver,
    }
    parser.add_argument("measure", choices=measures)
    parser.add_argument("--images", type=int, help="by default as many as the measure is about")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--source", type=Path)
    options = parser.parse_args()
    usual = {"memory": 100_000, "kills": 600, "nodes": 2_000, "driver": 100_000}
    options.images = options.images or usual.get(options.measure, 10_000)
    with tempfile.TemporaryDirectory(prefix="lentigo-scoring-") as folder:
        print(json.dumps(measures[options.measure](options, Path(folder)), indent=2))


if __name__ == "__main__":
    main()
