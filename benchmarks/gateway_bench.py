"""A real Orthanc, the real service and the gateway, each a process that can be killed."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from pydicom.encaps import encapsulate

from benchmarks.synthetic.lesion import draw_nevus
from tests.e2e.service_process import ServiceProcess, environment
from tests.fakes import jpeg_bytes
from tests.gateway.dicom import dermoscopic, file_of
from tests.gateway.orthanc.archive import OrthancProcess
from tests.ports import free_port

SHIPPED: Final = Path(__file__).parents[1] / "models"
SR: Final = "1.2.840.10008.5.1.4.1.1.88.34"
CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
STUDY: Final = "1.2.826.0.1.3680043.8.498.7"
WORKERS: Final = 3
DRAWN: Final = 20


class Bench:
    """The three programs, each a process that can be killed and started again."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        (folder / "orthanc").mkdir()
        self.archive = OrthancProcess(folder / "orthanc")
        stack.callback(self.archive.close)
        self._answers_of_the_dead = 0
        # Programs that are installed have their bytecode: compiling pydicom's tables takes seconds,
        # and 90 MiB for a moment.
        bytecode = {
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
        }
        self._gateway_settings = {**os.environ, **bytecode}
        self._service_settings = environment(
            SHIPPED, LENTIGO_PORT=str(free_port()), LENTIGO_LOG_LEVEL="info", **bytecode
        )
        self.service = ServiceProcess(self._service_settings)
        stack.callback(self.end_service)
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
        # Reads all of its modules, and makes the work list.
        subprocess.run(
            self._command("check"),
            env=self._gateway_settings,
            stdout=subprocess.DEVNULL,
            check=True,
        )

    def _command(self, name: str) -> list[str]:
        return [sys.executable, "-m", "lentigo_gateway", name, "--config", str(self.config)]

    def start_gateway(self) -> None:
        """Start it; its log goes on in one file."""
        with (self.folder / "gateway.log").open("ab") as log:
            self.gateway = subprocess.Popen(
                self._command("run"),
                env=self._gateway_settings,
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
        self.end_service()
        self.service = ServiceProcess(self._service_settings)

    def end_service(self) -> None:
        """Kill it."""
        self.service.process.kill()
        self.service.join()
        self.service.client.close()
        self._answers_of_the_dead += _answers(self.service)
        self.service.lines.clear()

    def answers(self) -> int:
        """Return how often the service has answered an image, by its log."""
        return self._answers_of_the_dead + _answers(self.service)

    def working(self) -> int:
        """Return how many instances the gateway is working on."""
        folder = self.folder / "worklist/working"
        return len(list(folder.iterdir())) if folder.exists() else 0

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
        programs = {"archive": self.archive.process.pid, "service": self.service.process.pid}
        if self.gateway is not None:
            programs["gateway"] = self.gateway.pid
        ticks = os.sysconf("SC_CLK_TCK")
        found = {}
        for name, number in programs.items():
            fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
            found[name] = (int(fields[11]) + int(fields[12])) / ticks
        return found

    def memory_mib(self) -> float:
        """Return the most memory that the gateway has had so far, in MiB."""
        if self.gateway is None:
            return 0.0
        status = Path(f"/proc/{self.gateway.pid}/status").read_text()
        (line,) = [each for each in status.splitlines() if each.startswith("VmHWM")]
        return int(line.split()[1]) / 1024


def log_of(bench: Bench) -> str:
    """Return what the gateway has logged."""
    path = bench.folder / "gateway.log"
    return path.read_text() if path.exists() else ""


def states(bench: Bench) -> dict[str, int]:
    """Return how many entries of the work list are in each state."""
    with closing(sqlite3.connect(bench.folder / "worklist/worklist.sqlite3")) as connection:
        query = "SELECT state, COUNT(*) FROM entries GROUP BY state"
        return dict(connection.execute(query).fetchall())


def positions(bench: Bench) -> dict[str, int]:
    """Return how far each source was read."""
    with closing(sqlite3.connect(bench.folder / "worklist/worklist.sqlite3")) as connection:
        return dict(connection.execute("SELECT source, position FROM positions").fetchall())


def _answers(service: ServiceProcess) -> int:
    lines = [json.loads(line) for line in list(service.lines) if line.startswith("{")]
    return sum(
        line.get("event") == "request"
        and line.get("route") == "/v1/predictions"
        and line.get("status") == 200
        for line in lines
    )


@contextmanager
def bench() -> Iterator[Bench]:
    """Start archive and service; remove what they left unless something failed."""
    folder = Path(tempfile.mkdtemp(prefix="lentigo-gateway-"))
    try:
        with ExitStack() as stack:
            yield Bench(folder, stack)
    except BaseException:
        sys.stderr.write(f"The logs and the work list are in {folder}.\n")
        raise
    shutil.rmtree(folder)
