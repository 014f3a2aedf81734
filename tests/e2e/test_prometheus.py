"""A real Prometheus that scrapes a real service, if it is installed: Debian's package `prometheus`.

The rules are those that are shipped, but fire at once: `tests/project/test_alert_rules.py` holds
how long they wait.
"""

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import numpy as np
import pytest
from PIL import Image

from lentigo_contract.labels import CODES
from lentigo_contract.repository.store import ModelStore
from lentigo_inference.security.api_keys import Scope, add_key
from lentigo_inference.security.api_keys import make_key as make_api_key
from tests.e2e.service_process import DEADLINE_S, ServiceProcess, service_process
from tests.fakes import jpeg_bytes, lesion_image
from tests.ports import free_port

ROOT: Final = Path(__file__).parents[2]
RULES: Final = ROOT / "deploy/prometheus"
COMMAND: Final = "prometheus"
IMAGES: Final = 63
ALERT: Final = "LentigoBrightnessDrift"

pytestmark = pytest.mark.skipif(
    shutil.which(COMMAND) is None,
    reason="prometheus is not installed (apt-get install prometheus)",
)


@contextmanager
def prometheus(folder: Path, service: ServiceProcess, metrics_key: str) -> Iterator[httpx.Client]:
    """Run one with the shipped configuration: of this service, each second, without a wait."""
    (folder / "key").write_text(metrics_key)
    rules = (RULES / "alerts.yml").read_text()
    (folder / "alerts.yml").write_text(re.sub(r"for: \d+m", "for: 0s", rules))
    configuration = (RULES / "prometheus.yml").read_text()
    for shipped, here in (
        ("15s", "1s"),
        ("/run/secrets/lentigo-metrics-key", str(folder / "key")),
        ("inference:8000", "{}:{}".format(*service.address)),
    ):
        assert shipped in configuration
        configuration = configuration.replace(shipped, here)
    (folder / "prometheus.yml").write_text(configuration)
    address = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [
            COMMAND,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'series'}",
            f"--web.listen-address={address}",
            "--log.level=error",
        ]
    )
    try:
        with httpx.Client(base_url=f"http://{address}/api/v1", timeout=DEADLINE_S) as client:
            yield client
    finally:
        process.kill()
        process.wait(DEADLINE_S)


def value(client: httpx.Client, query: str) -> float | None:
    """The value of a query that has one series, or none."""
    try:
        result = client.get("/query", params={"query": query}).json()["data"]["result"]
    except httpx.TransportError:
        # It is starting.
        return None
    return float(result[0]["value"][1]) if result else None


def until(client: httpx.Client, query: str) -> None:
    """Wait for a query to have a series."""
    deadline, pause = time.monotonic() + DEADLINE_S, threading.Event()
    while value(client, query) is None:
        assert time.monotonic() < deadline, query
        pause.wait(0.1)


def as_bright_as(image: Image.Image, brightness: float) -> Image.Image:
    """Scale the values of an image to a mean, 0 to 255."""
    factor = brightness / float(np.asarray(image.convert("L")).mean())
    return image.point(lambda value: min(255, round(value * factor)))


def test_images_that_become_darker_fire_the_alert(tmp_path: Path) -> None:
    entry, key = make_api_key("everything", frozenset(Scope))
    add_key(tmp_path / "keys.json", entry)
    shipped = ModelStore(ROOT / "models")
    reference = shipped.open(shipped.versions()[-1]).manifest.input_reference
    assert reference is not None
    # As bright as the images that the version was measured on, from the darkest to the brightest.
    usual = reference.brightness
    settings = {"LENTIGO_ENGINE": "litert", "LENTIGO_KEY_FILE": str(tmp_path / "keys.json")}
    with (
        service_process(ROOT / "models", **settings) as service,
        prometheus(tmp_path, service, key) as client,
    ):
        service.logged("model in use")
        service.client.headers["Authorization"] = f"Bearer {key}"

        def send(times_as_bright: float) -> None:
            for place in range(IMAGES):
                image = as_bright_as(
                    lesion_image(place, CODES[place % len(CODES)]),
                    times_as_bright * usual[place % len(usual)],
                )
                response = service.client.post(
                    "/v1/predictions", params={"force": True}, files={"image": jpeg_bytes(image)}
                )
                assert response.status_code == 200, response.text

        firing = f'ALERTS{{alertname="{ALERT}", alertstate="firing"}}'
        drift = 'lentigo_input_drift_low{job="lentigo", feature="brightness"}'
        send(1.0)
        until(client, f"lentigo_input_images == {IMAGES} and on () {drift} == 0")
        assert value(client, firing) is None
        send(0.5)
        until(client, firing)
        measured = value(client, drift)
        assert measured is not None
        assert measured > 0.2
        assert service.stop() == 0
        until(client, 'ALERTS{alertname="LentigoDown", alertstate="firing"}')
