"""How fast the service answers, beside what one would otherwise install: one command, one run.

    python benchmarks/serving.py [--seconds 10] [--model models/lentigo/6] [--rivals VENV]

Each server in turn gets the same 600x450 JPEGs from 1, 8 and 32 clients in a process of their own,
on the same processors; every answer is checked. Then come the same work inside one process, reloads
under load, an overload, the same with other work on every core, hostile images, and the start. Ends
with a table of figures and their bounds. `--shadow` measures only what a version on trial costs, in
a minute. LitServe and BentoML are measured when their environment is there:

    python3 -m venv .venv-rivals
    .venv-rivals/bin/pip install --requirement benchmarks/rivals/requirements.txt

Run it on a machine that does nothing else.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from hostile_images import under_attack
from lentigo_contract.imaging.read import read_image
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.repository.layout import MANIFEST_NAME
from lentigo_contract.repository.store import ModelStore
from load.generator import Outcome
from load.results import HEAD, BenchmarkResult, Row, at_least, at_most, draw_memory, row, summary
from load.servers import (
    HERE,
    HealthWatch,
    Recipe,
    Running,
    add_key,
    draw_pictures,
    hogs,
    ours,
    plain_keras,
    rivals,
    running,
)
from load.shadow import beside_shadow

CONCURRENCY = (1, 8, 32)
RELOADS = 50
OVERLOAD = 4
# The client asks for every picture twice before it begins.
LEARNING_S = 3.0


class Bench:
    """The story, and the rows it has gathered so far."""

    def __init__(self, version: Path, seconds: float, folder: Path) -> None:
        """Draw pictures, and copy the version into a repository of its own."""
        self.seconds = seconds
        self.folder = folder
        self.processors = len(os.sched_getaffinity(0))
        # It is only served under the number that its manifest has.
        number = Manifest.read(version / MANIFEST_NAME).version
        self.version = folder / "models" / "lentigo" / str(number)
        shutil.copytree(version, self.version)
        self.pictures = folder / "pictures"
        draw_pictures(self.pictures)
        self.rows: list[Row] = []

    def load(self, server: Running, *options: object) -> Outcome:
        """Send pictures until it is over."""
        return finished(self.start_load(server, *options))

    def start_load(self, server: Running, *options: object) -> "subprocess.Popen[str]":
        """Begin to send pictures."""
        generator = HERE / "load/generator.py"
        command = (sys.executable, generator, server.target, self.pictures, *options)
        return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)

    def compare(self, recipe: Recipe) -> None:
        """Measure one server at each concurrency."""
        with running(recipe, self.folder) as server:
            self.load(server, "--concurrency", 8, "--seconds", 2)
            for clients in CONCURRENCY:
                outcome = self.load(server, "--concurrency", clients, "--seconds", self.seconds)
                self.rows.append(row(recipe.name, clients, outcome, server.memory()))
                print(self.rows[-1], flush=True)

    @property
    def rates(self) -> dict[str, float]:
        """Requests a second of each server, with the most clients."""
        return {row.server: row.rate for row in self.rows}

    def in_process(self, name: str, threads: int, workers: int) -> tuple[float, float]:
        """Decode and run the network without a server: pictures a second, median milliseconds."""
        files = [path.read_bytes() for path in sorted(self.pictures.iterdir())]
        model = (self.version / "litert" / name).read_bytes()

        def work(_worker: int) -> list[float]:
            interpreter = Interpreter(model_content=model, num_threads=threads)
            run = interpreter.get_signature_runner("serving_default")
            took: list[float] = []
            ends = time.perf_counter() + self.seconds
            while (starts := time.perf_counter()) < ends:
                run(image=read_image(files[len(took) % len(files)]).pixels[None])
                took.append(1000 * (time.perf_counter() - starts))
            return took

        with ThreadPoolExecutor(workers) as pool:
            starts = time.perf_counter()
            took = [each for some in pool.map(work, range(workers)) for each in some]
            return len(took) / (time.perf_counter() - starts), statistics.median(took)

    def reloads(self, plot: Path | None) -> list[BenchmarkResult]:
        """Load the version anew, 50 times, under load; the first 20 are compared with calm."""
        keys = self.folder / "keys.json"
        admin, predict = (add_key(keys, scope) for scope in ("admin", "predict"))
        memory: list[float] = []
        headers = {"Authorization": f"Bearer {predict}"}
        with running(ours("auto", LENTIGO_KEY_FILE=str(keys)), self.folder, headers) as server:
            self.load(server, "--concurrency", 8, "--seconds", 3)
            calm = self.load(server, "--concurrency", 8, "--seconds", 20)
            memory.append(server.memory())
            busy = self._reloaded(server, admin, 20, memory)
            later = self._reloaded(server, admin, RELOADS - 20, memory)
        for phase, outcome in (("calm", calm), ("20 reloads", busy), ("30 more", later)):
            print(f"reloads, {phase}: {summary(outcome)}", flush=True)
        print(f"memory after each, MiB: {' '.join(f'{value:.0f}' for value in memory)}")
        if plot:
            draw_memory(memory, plot)
        before, during = (float(np.percentile(each.good, 99)) for each in (calm, busy))
        lost = sum(len(each.refused) + bad(each) for each in (busy, later))
        return [
            at_most("p99 during 20 reloads / without", during / before, 1.5),
            at_most(f"requests lost during {RELOADS} reloads", lost, 0),
            at_most(f"memory after {RELOADS} reloads / after 5", memory[RELOADS] / memory[5], 1.05),
        ]

    def _reloaded(self, server: Running, key: str, times: int, memory: list[float]) -> Outcome:
        """Load the version so many times, a second apart, while 8 clients ask."""
        load = self.start_load(server, "--concurrency", 8, "--seconds", times + 2)
        time.sleep(LEARNING_S)
        request = urllib.request.Request(  # noqa: S310 - our own URL
            f"{server.base}/v2/repository/models/lentigo/load",
            b"{}",
            {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        for _ in range(times):
            began = time.perf_counter()
            with urllib.request.urlopen(request, timeout=60):  # noqa: S310
                memory.append(server.memory())
            time.sleep(max(0.0, 1 - (time.perf_counter() - began)))
        return finished(load)

    def overload(self, peak: float) -> list[BenchmarkResult]:
        """Send four times what it can answer, for three times as long as the others."""
        with running(ours("auto"), self.folder) as server:
            self.load(server, "--concurrency", 8, "--seconds", 2)
            return self._overloaded(server, peak, "overload", 0.92, 100)

    def overload_shared(self) -> list[BenchmarkResult]:
        """Do the same while other work keeps every processor busy, and find the peak there."""
        with hogs(self.processors), running(ours("auto"), self.folder) as server:
            self.load(server, "--concurrency", 8, "--seconds", 2)
            clients = CONCURRENCY[-1]
            calm = self.load(server, "--concurrency", clients, "--seconds", self.seconds)
            peak = len(calm.good) / calm.seconds
            print(f"with a hog on each core, {clients} clients: {summary(calm)}", flush=True)
            return self._overloaded(server, peak, "overload with hogs", 0.75, 500)

    def _overloaded(
        self, server: Running, peak: float, what: str, least: float, slowest: float
    ) -> list[BenchmarkResult]:
        """Overload a warm server.

        Args:
            server: gets the load, and is asked for its health meanwhile.
            peak: requests a second that it can answer.
            what: begins the name of each figure.
            least: bound of the throughput, as a part of the peak.
            slowest: bound of the slowest refusal, in milliseconds.
        """
        rate = max(1, round(OVERLOAD * peak))
        with HealthWatch(server.base) as health:
            outcome = self.load(server, "--rate", rate, "--seconds", 3 * self.seconds)
        print(f"{what}, {rate} requests a second: {summary(outcome)}", flush=True)
        p50, p99 = np.percentile(health.milliseconds or [0.0], (50, 99))
        print(
            f"health meanwhile: p50 {p50:.1f} ms, p99 {p99:.1f} ms, {health.failed} failed",
            flush=True,
        )
        answered = len(outcome.good) / outcome.seconds
        refused = max(outcome.refused, default=None)
        return [
            at_most(f"{what}: failed or wrong", bad(outcome), 0),
            at_most(f"{what}: slowest refusal, ms", refused, slowest),
            at_least(f"{what}: throughput / peak", answered / peak if peak else None, least),
            at_most(f"{what}: slowest health, ms", max(health.milliseconds, default=None), 100),
        ]

    def start(self) -> BenchmarkResult:
        """Time the start with LiteRT; the second finds its files in the page cache."""
        for _ in range(2):
            with running(ours("litert"), self.folder) as server:
                took = server.start_s
        return at_most("start to ready, litert, s", took, 2)


def shipped() -> Path:
    """The newest version in the repository of models."""
    store = ModelStore(HERE.parent / "models")
    return store.folder / str(store.latest())


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a version; by default the one that ships")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--rivals", type=Path, default=Path(".venv-rivals"), help="their venv")
    parser.add_argument(
        "--overload", action="store_true", help="measure only what an overload does"
    )
    parser.add_argument(
        "--shadow", action="store_true", help="measure only what a version on trial costs"
    )
    parser.add_argument("--plot", type=Path, help="write memory over reloads to this SVG file")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(arguments.model or shipped(), arguments.seconds, Path(folder))
        python = arguments.rivals.absolute() / "bin" / "python"
        if arguments.overload:
            measured = only_overload(bench)
        elif arguments.shadow:
            measured = only_shadow(bench)
        else:
            measured = measure(bench, python, arguments.plot)
    print("\n| Figure | Measured | Bound | Met |\n| --- | ---: | ---: | --- |")
    print(*measured, sep="\n")
    if arguments.json:
        figures = {
            "processors": bench.processors,
            "servers": [vars(each) for each in bench.rows],
            "figures": [vars(each) for each in measured],
        }
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def only_overload(bench: Bench) -> list[BenchmarkResult]:
    """Measure the peak, and what an overload does, with and without other work."""
    print(f"{bench.processors} processors\n\n{HEAD}")
    bench.compare(ours("auto"))
    return [*bench.overload(bench.rates["Lentigo, auto"]), *bench.overload_shared()]


def only_shadow(bench: Bench) -> list[BenchmarkResult]:
    """Measure the peak, and what a version on trial costs at half of it."""
    with running(ours("litert"), bench.folder) as server:
        bench.load(server, "--concurrency", 8, "--seconds", 2)
        calm = bench.load(server, "--concurrency", CONCURRENCY[-1], "--seconds", bench.seconds)
    print(f"{bench.processors} processors; {CONCURRENCY[-1]} clients: {summary(calm)}")
    return [beside_shadow(bench, len(calm.good) / calm.seconds)]


def measure(bench: Bench, rivals_python: Path, plot: Path | None) -> list[BenchmarkResult]:
    """Tell the whole story."""
    print(f"{bench.processors} processors\n\n{HEAD}")
    for engine in ("auto", "savedmodel", "litert", "litert-int8"):
        bench.compare(ours(engine))
    bench.compare(plain_keras())
    for rival in rivals(rivals_python) if rivals_python.exists() else []:
        bench.compare(rival)
    int8, _ = bench.in_process("int8.tflite", 1, bench.processors)
    float32, _ = bench.in_process("float32.tflite", 1, bench.processors)
    engines = ("int8.tflite", "float32.tflite")
    alone = min(bench.in_process(name, bench.processors, 1)[1] for name in engines)
    print(
        f"\nin process: decode + int8 {int8:.1f}/s, decode + float32 {float32:.1f}/s; "
        f"one at a time, by the faster, {alone:.1f} ms",
        flush=True,
    )
    auto = bench.rates["Lentigo, auto"]
    keras, saved = bench.rates["FastAPI + Keras"], bench.rates["Lentigo, savedmodel"]
    best = max(bench.rates.get(name, 0) for name in ("LitServe", "BentoML"))
    lone, vnni = bench.rows[0].p50, has_vnni()
    return [
        at_least("32 clients: auto / FastAPI + Keras", auto / keras, 15 if vnni else 9),
        at_least("32 clients: savedmodel / best rival", saved / best if best else None, 1.5),
        at_least(
            "32 clients: auto / the faster engine in process",
            auto / max(int8, float32),
            0.75 if vnni else 0.85,
        ),
        BenchmarkResult("32 clients: auto / decode + int8 in process", auto / int8),
        BenchmarkResult("32 clients: auto / decode + float32 in process", auto / float32),
        at_most("1 client: median / decode + the faster network in process", lone / alone, 1.5),
        *bench.reloads(plot),
        *bench.overload(auto),
        *bench.overload_shared(),
        *under_attack(bench.folder),
        bench.start(),
    ]


def has_vnni() -> bool:
    """Whether the processor has instructions for int8, which the bounds depend on."""
    try:
        return "vnni" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def finished(load: "subprocess.Popen[str]") -> Outcome:
    """Wait for the client, and read what it says."""
    said, _ = load.communicate()
    if load.returncode:
        sys.exit("The client failed; its words stand above.")
    return Outcome(**json.loads(said))


def bad(outcome: Outcome) -> int:
    """Count answers that are neither right nor an honest refusal."""
    return outcome.wrong + sum(outcome.failed.values())


if __name__ == "__main__":
    main()
