"""What the audit trail costs, how fast it is verified, and whether a kill loses a record.

    .venv/bin/python benchmarks/audit.py [--seconds 20] [--records 1000000] [--kills 200]

Throughput: the shipped model with LiteRT, 32 clients on the same cores, with the trail required and
without, in turn and twice, so that a machine that slows down slows both. Verifying: records as the
service writes them, read by the command in a process of its own. Kills: SIGKILL at random moments
while 8 clients ask; every answer that arrived whole must be on record, and the trail sound.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import httpx

from lentigo_contract.labels import CODES
from lentigo_inference.audit.export import records_in
from lentigo_inference.audit.records import Caller, ModelInUse, Said, answer
from lentigo_inference.audit.signing import Verifier, make_key, read_signer
from lentigo_inference.audit.verification import verify
from lentigo_inference.audit.writer import ChainWriter
from lentigo_inference.observability.identifiers import uuid7
from load.servers import ours, running
from serving import Bench, shipped

CLIENTS: Final = 32
ASKING: Final = 8
_TOGETHER: Final = 1000

# The command, and then the most memory that it held. What the system reports of a child has that of
# its parent in it, before it becomes a program of its own.
_VERIFY: Final = """
import re, sys, time
from pathlib import Path
from lentigo_inference.cli import main
code = main(sys.argv[1:])
status = Path("/proc/self/status").read_text()
print(f"{time.process_time():.1f} s of processor time,", end=" ")
print(int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) // 1024, "MiB at most (bound: 200 MB)")
sys.exit(code)
"""


def main() -> None:
    """Measure what is asked for; 0 leaves a part out."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each load")
    parser.add_argument("--records", type=int, default=1_000_000, help="to verify")
    parser.add_argument("--kills", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lentigo-audit-") as name:
        folder = Path(name)
        if options.seconds:
            throughput(folder / "throughput", options.seconds)
        if options.records:
            verifying(folder / "verifying", options.records)
        if options.kills:
            kills(folder / "kills", options.kills)


def prepared(folder: Path) -> dict[str, str]:
    """Make a folder for a trail, and its key; give the settings that name them."""
    (folder / "audit").mkdir(parents=True)
    make_key(folder / "audit.key")
    return {
        "LENTIGO_AUDIT_DIR": str(folder / "audit"),
        "LENTIGO_AUDIT_KEY": str(folder / "audit.key"),
    }


def throughput(folder: Path, seconds: float) -> None:
    """Compare requests a second with the trail required and without."""
    settings = prepared(folder)
    bench = Bench(shipped(), seconds, folder)
    rates: dict[str, list[float]] = {"without": [], "required": []}
    for _ in range(2):
        for name, chosen in (("without", {}), ("required", settings)):
            with running(ours("litert", **chosen), folder) as server:
                bench.load(server, "--concurrency", CLIENTS, "--seconds", 2)
                outcome = bench.load(server, "--concurrency", CLIENTS, "--seconds", seconds)
            rates[name].append(len(outcome.good) / outcome.seconds)
            print(f"{name}: {rates[name][-1]:.1f} requests a second", flush=True)
    ratio = sum(rates["required"]) / sum(rates["without"])
    print(f"throughput, audit required / without: {ratio:.3f} (bound: at least 0.9)")


def verifying(folder: Path, count: int) -> None:
    """Write so many records, and time the command that verifies them."""
    prepared(folder)
    dice, written = random.Random(7), 0
    writer = ChainWriter(folder / "audit", read_signer(folder / "audit.key"))
    while written < count:
        together = min(_TOGETHER, count - written)
        writer.write([record(dice) for _ in range(together)])
        written += together
    writer.close()
    options = ("--dir", str(folder / "audit"), "--key", str(folder / "audit.key.pub"))
    command = ("audit", "verify", *options)
    began = time.perf_counter()
    run = subprocess.run(
        (sys.executable, "-c", _VERIFY, *command), check=True, stdout=subprocess.PIPE, text=True
    )
    took = time.perf_counter() - began
    print(run.stdout, end="")
    print(f"verify, {count:,} records: {took:.1f} s (bound: 60 s for 1,000,000)")


def record(dice: random.Random) -> dict[str, object]:
    """Give a record as long as those of the service."""
    said = Said(
        diagnosis="nv",
        probabilities={code: dice.random() for code in CODES},
        malignancy=dice.random(),
        threshold=0.18,
        refer=True,
        reasons=["malignancy"],
        quality=[],
    )
    model = ModelInUse(
        "lentigo", 3, "f" * 64, "litert", {"decided_by": "probable", "prevalence_source": None}
    )
    caller = Caller(str(uuid7()), "ward-7", "10.20.30.40")
    return answer(str(uuid7()), caller, f"{dice.getrandbits(256):064x}", said, model)


def kills(folder: Path, count: int) -> None:
    """Kill the service so many times, and count the answers without a record."""
    settings = prepared(folder)
    bench = Bench(shipped(), 0.0, folder)
    picture = next(bench.pictures.iterdir()).read_bytes()
    dice, answered = random.Random(7), set[str]()
    for number in range(count):
        with running(ours("litert", **settings), folder) as server:
            answered |= answers_until_killed(
                server.base, server.process.pid, picture, dice.uniform(0.05, 2.0)
            )
        print(f"\r{number + 1} kills, {len(answered)} answers", end="", flush=True)
    with running(ours("litert", **settings), folder) as server:
        server.process.send_signal(signal.SIGTERM)
        server.process.wait()
    recorded = {each["id"] for each in records_in(folder / "audit") if each["kind"] == "answer"}
    reports = verify(folder / "audit", Verifier([folder / "audit.key.pub"])).series
    findings = sum(len(report.findings) for report in reports)
    print(f"\nanswered without a record: {len(answered - recorded)} (bound: 0)")
    print(f"recorded without an answer that arrived: {len(recorded - answered)}")
    print(f"findings of verify: {findings} (bound: 0)")


def answers_until_killed(base: str, pid: int, picture: bytes, after_s: float) -> set[str]:
    """Ask from several clients, kill the service after a while, and give the answers' ids."""
    answered, ended = set[str](), threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=base, timeout=60) as client:
            while not ended.is_set():
                try:
                    response = client.post("/v1/predictions?force=true", content=picture)
                except httpx.TransportError:
                    return
                # Anything but an answer would make the load lighter, unnoticed.
                response.raise_for_status()
                answered.add(json.loads(response.content)["id"])

    with ThreadPoolExecutor(ASKING) as clients:
        asking = [clients.submit(ask) for _ in range(ASKING)]
        time.sleep(after_s)
        os.killpg(pid, signal.SIGKILL)
        ended.set()
    for each in asking:
        each.result()
    return answered


if __name__ == "__main__":
    main()
