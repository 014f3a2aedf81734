"""Starts the servers that benchmarks/serving.py compares, and looks at their memory."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from lentigo_contract.manifest.engines import golden_images
from load.generator import Target

HERE = Path(__file__).parents[1]
START_S = 180.0
PICTURES = 32
_HEALTH_PAUSE_S = 0.05


@dataclass(frozen=True)
class Recipe:
    """How a server is started.

    Attributes:
        name: in the tables.
        command: `{port}`, `{model}` (a SavedModel) and `{repository}` are filled in.
        path: of the URL that takes pictures.
        ready: of the URL that answers 200 when it can.
        form: as in `load.generator.Target`.
        environment: variables; the same are filled in.
    """

    name: str
    command: tuple[str, ...]
    path: str
    ready: str
    form: str = "multipart"
    environment: dict[str, str] = field(default_factory=dict)


def ours(engine: str, **environment: str) -> Recipe:
    """This project's service with one engine."""
    return Recipe(
        f"Lentigo, {engine}",
        (sys.executable, "-m", "lentigo_inference"),
        # The pictures are drawn, and a version may find them unlike any lesion.
        "/v1/predictions?force=true",
        "/v2/health/ready",
        environment={
            "LENTIGO_ENGINE": engine,
            "LENTIGO_MODEL_REPOSITORY": "{repository}",
            "LENTIGO_PORT": "{port}",
            **environment,
        },
    )


def plain_keras() -> Recipe:
    """FastAPI and `model.predict`."""
    script = str(HERE / "rivals" / "plain_keras.py")
    command = (sys.executable, script, "{model}", "{port}")
    return Recipe("FastAPI + Keras", command, "/predict", "/openapi.json")


def rivals(python: Path) -> list[Recipe]:
    """LitServe and BentoML, from an environment of their own."""
    folder, bentoml = HERE / "rivals", str(python.parent / "bentoml")
    service = ("bentoml_service:Lesions", "--working-dir", str(folder), "--port", "{port}")
    return [
        Recipe(
            "LitServe",
            (str(python), str(folder / "litserve_server.py"), "{port}"),
            "/predict",
            "/health",
            form="base64",
            environment={"LENTIGO_SAVED_MODEL": "{model}"},
        ),
        Recipe(
            "BentoML",
            (bentoml, "serve", *service),
            "/predict",
            "/readyz",
            environment={
                "LENTIGO_SAVED_MODEL": "{model}",
                "BENTOML_DO_NOT_TRACK": "True",
                # BentoML starts Python by name.
                "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
            },
        ),
    ]


@dataclass
class Running:
    """A server that answers.

    Attributes:
        process: its leader.
        base: URL without a path.
        target: a file that tells `generator.py` where to send what.
        log: a file of what it says.
        start_s: seconds from the start of the process to its first 200.
    """

    process: subprocess.Popen[bytes]
    base: str
    target: Path
    log: Path
    start_s: float

    def memory(self) -> float:
        """MiB that it and its children hold; pages that they share count once."""
        return sum(_held(pid) for pid in _family(self.process.pid)) / 1024

    def is_busy(self) -> bool:
        """Whether one of its threads runs or waits for a processor."""
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            # A thread may end meanwhile. The state stands behind the name, which is in brackets.
            with suppress(OSError):
                if (task / "stat").read_text().rpartition(")")[2].split()[0] == "R":
                    return True
        return False

    def metrics(self, beginning: str) -> list[str]:
        """The lines of its metrics that begin so."""
        with urllib.request.urlopen(f"{self.base}/metrics", timeout=60) as answer:  # noqa: S310
            lines: list[str] = answer.read().decode().splitlines()
        return [line for line in lines if line.startswith(beginning)]

    def until_metric(self, line: str) -> None:
        """Wait until its metrics have a line."""
        ends = time.perf_counter() + START_S
        while not self.metrics(line):
            if time.perf_counter() > ends:
                sys.exit(f"The metrics never had {line!r}.")
            time.sleep(0.05)


@contextmanager
def running(
    recipe: Recipe, folder: Path, headers: dict[str, str] | None = None
) -> Iterator[Running]:
    """Start a server with the first version in `folder`/models; its log lies beside."""
    port = _free_port()
    repository = folder / "models"
    version = min((repository / "lentigo").iterdir(), key=lambda each: int(each.name))
    fill = {
        "port": str(port),
        "model": str(version),
        "repository": str(repository),
    }
    environment = {name: value.format(**fill) for name, value in recipe.environment.items()}
    base = f"http://127.0.0.1:{port}"
    target = folder / f"target-{port}.json"
    target.write_text(json.dumps(asdict(Target(base + recipe.path, recipe.form, headers or {}))))
    log_file = folder / f"server-{port}.log"
    with log_file.open("wb") as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            [part.format(**fill) for part in recipe.command],
            env={**_clean_environment(), **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=folder,
        )
        try:
            _wait(process, base + recipe.ready, log_file)
            yield Running(process, base, target, log_file, time.perf_counter() - began)
        finally:
            # BentoML's worker is in no group of ours.
            for pid in _family(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()


def draw_pictures(folder: Path) -> None:
    """Write 600x450 JPEGs with the grain of a camera, about as large as the real ones."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    for place, pixels in enumerate(golden_images(0, PICTURES)):
        smooth = np.asarray(Image.fromarray(pixels).resize((600, 450)), np.float32)
        grain = draw.normal(0, 6, (450, 600, 1)).astype(np.float32)
        picture = Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))
        picture.save(folder / f"{place:02}.jpg", quality=90)


def add_key(file: Path, scope: str, name: str | None = None) -> str:
    """Make a key with the service's own command; by default it is called like its scope."""
    command = (sys.executable, "-m", "lentigo_inference", "keys", "add", name or scope)
    options = ("--scope", scope, "--file", str(file))
    done = subprocess.run((*command, *options), check=True, capture_output=True, text=True)
    return done.stdout.strip()


@contextmanager
def hogs(count: int) -> Iterator[None]:
    """Keep so many processors busy with other work of ordinary priority."""
    busy = [
        subprocess.Popen((sys.executable, "-c", "while True: pass"), start_new_session=True)
        for _ in range(count)
    ]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
        for process in busy:
            process.wait()


class HealthWatch:
    """Asks a server for its health over one connection, again and again, on a thread.

    Attributes:
        milliseconds: of each answer.
        failed: how often there was none, or another than 200.
    """

    def __init__(self, base: str) -> None:
        """Prepare; entering the context starts it."""
        parts = urlsplit(base)
        self._connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.milliseconds: list[float] = []
        self.failed = 0

    def __enter__(self) -> "HealthWatch":
        """Start to ask."""
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop."""
        self._over.set()
        self._thread.join()
        self._connection.close()

    def _ask(self) -> None:
        while not self._over.wait(_HEALTH_PAUSE_S):
            began = time.perf_counter()
            try:
                self._connection.request("GET", "/v2/health/live")
                answer = self._connection.getresponse()
                answer.read()
                self.failed += answer.status != 200
            except (OSError, http.client.HTTPException):
                self.failed += 1
                self._connection.close()
            self.milliseconds.append(1000 * (time.perf_counter() - began))


def _clean_environment() -> dict[str, str]:
    """Leave out settings of ours that happen to be set."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2"}
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LENTIGO_")}
    return kept | quiet


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Wait until the server is ready, looking every 10 ms."""
    ends = time.perf_counter() + START_S
    while time.perf_counter() < ends and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own URL
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.01)
    sys.exit(f"The server did not become ready at {url}:\n{log.read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _family(pid: int) -> list[int]:
    children: list[int] = []
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []
    for task in tasks:
        # A thread may end meanwhile.
        with suppress(OSError):
            children += map(int, (task / "children").read_text().split())
    return [pid, *(each for child in children for each in _family(child))]


def _held(pid: int) -> int:
    """KiB of one process (Pss)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
