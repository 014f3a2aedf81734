"""A Ray cluster on loopback, whose nodes are process trees that can be killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.ports import free_port

_RAY: Final = (sys.executable, "-m", "ray.scripts.scripts")
_START_S: Final = 300.0


class Cluster:
    """Nodes on 127.0.0.1, .2 and so on; the first one is the head."""

    def __init__(self, folder: Path, port: int, cores: int = 1, memory: int | None = None) -> None:
        self.folder = folder
        self._port = port
        self._cores = cores
        self._memory = memory
        self.address = f"127.0.0.1:{port}"

    def start(self, number: int) -> None:
        """Start a node, and wait until it has joined."""
        where = (
            (
                "--head",
                f"--port={self._port}",
                "--include-dashboard=false",
                f"--temp-dir={self.folder}",
            )
            if number == 1
            else (f"--address={self.address}",)
        )
        options = (
            f"--node-ip-address=127.0.0.{number}",
            f"--num-cpus={self._cores}",
            "--object-store-memory=200000000",
            *(() if self._memory is None else (f"--memory={self._memory}",)),
            "--disable-usage-stats",
        )
        subprocess.run(
            [*_RAY, "start", *where, *options],
            # Ray lowers its workers' priority by 15 otherwise, and other programs starve them.
            env={**os.environ, "RAY_worker_niceness": "0"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_START_S,
            check=True,
        )

    def kill(self, number: int) -> int:
        """End a node's raylet and its workers by SIGKILL; return how many processes that were."""
        address = f"127.0.0.{number}"
        raylets = [
            pid
            for pid, line in _processes()
            if str(self.folder) in line
            and "/raylet/raylet" in line.partition("\0")[0]
            and f"--node_ip_address={address}" in line
        ]
        workers = [
            pid
            for pid, line in _processes()
            if line.startswith("ray::") and _parent(pid) in raylets
        ]
        for pid in (*raylets, *workers):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(raylets) + len(workers)

    def close(self) -> None:
        """End all processes that have the cluster's folder in their command line, and theirs."""
        for _ in range(3):
            ours = {pid for pid, line in _processes() if str(self.folder) in line} - {os.getpid()}
            ours |= {pid for pid, line in _processes() if _parent(pid) in ours}
            for pid in ours:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.5)


@contextmanager
def cluster(
    folder: Path, nodes: int, cores: int = 1, memory: int | None = None
) -> Iterator[Cluster]:
    """Run a cluster.

    Args:
        folder: for its sockets and logs; its path must be short.
        nodes: how many.
        cores: of each.
        memory: bytes that each may give to actors; by default most of the machine's.
    """
    # Free ports are outside of Ray's own range for workers, 10002 to 19999.
    running = Cluster(folder, free_port(), cores, memory)
    try:
        for number in range(1, nodes + 1):
            running.start(number)
        yield running
    finally:
        running.close()


def _processes() -> list[tuple[int, str]]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                found.append((int(entry.name), (entry / "cmdline").read_text(errors="replace")))
    return found


def _parent(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0
