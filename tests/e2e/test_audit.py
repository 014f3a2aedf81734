"""A service that is killed while it answers: every answer that left is on record."""

import os
import random
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from lentigo_inference.audit.export import records_in
from lentigo_inference.audit.signing import Verifier, make_key
from lentigo_inference.audit.verification import verify
from tests.e2e.service_process import (
    COMMAND,
    DEADLINE_S,
    ServiceProcess,
    environment,
    service_process,
)
from tests.fakes import jpeg_bytes

SHIPPED = Path(__file__).parents[2] / "models"
KILLS = 3
CLIENTS = 4


def test_a_kill_loses_no_answer_that_left(tmp_path: Path) -> None:
    folder, key = tmp_path / "audit", tmp_path / "a.key"
    folder.mkdir()
    make_key(key)
    settings = {
        "LENTIGO_AUDIT_DIR": str(folder),
        "LENTIGO_AUDIT_KEY": str(key),
        "LENTIGO_ENGINE": "litert",
    }
    dice, answered = random.Random(7), set[str]()
    for _ in range(KILLS):
        with service_process(SHIPPED, **settings) as service:
            service.logged("model in use")
            answered |= answers_until_killed(service, dice.randint(5, 25))
    with service_process(SHIPPED, **settings) as service:
        service.logged("model in use")
        assert service.stop() == 0
    recorded = {record["id"] for record in records_in(folder) if record["kind"] == "answer"}
    assert len(answered) >= KILLS * 5
    assert answered <= recorded
    (report,) = verify(folder, Verifier([Path(f"{key}.pub")])).series
    assert report.findings == ()
    assert len(report.notes) == KILLS


def answers_until_killed(service: ServiceProcess, count: int) -> set[str]:
    """Ask from several clients, kill the service after so many answers, and give their ids."""
    image, answered, enough = jpeg_bytes(), set[str](), threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=service.url, timeout=DEADLINE_S) as client:
            while True:
                try:
                    response = client.post("/v1/predictions", files={"image": image})
                except httpx.TransportError:
                    return
                assert response.status_code == 200, response.text
                answered.add(response.json()["id"])
                if len(answered) >= count:
                    enough.set()

    with ThreadPoolExecutor(CLIENTS) as clients:
        asking = [clients.submit(ask) for _ in range(CLIENTS)]
        try:
            assert enough.wait(DEADLINE_S)
        finally:
            os.killpg(service.process.pid, signal.SIGKILL)
        for each in asking:
            each.result(DEADLINE_S)
    return answered


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"LENTIGO_AUDIT_KEY": ""}, "go together"),
        ({"LENTIGO_AUDIT_DIR": "missing"}, "cannot be read"),
        ({"LENTIGO_AUDIT_KEY": "missing"}, "make-key"),
    ],
)
def test_a_trail_that_cannot_be_kept_ends_the_start(
    tmp_path: Path, wrong: dict[str, str], told: str
) -> None:
    (tmp_path / "audit").mkdir()
    make_key(tmp_path / "a.key")
    settings = {
        "LENTIGO_AUDIT_DIR": str(tmp_path / "audit"),
        "LENTIGO_AUDIT_KEY": str(tmp_path / "a.key"),
        **wrong,
    }
    run = subprocess.run(
        COMMAND,
        env=environment(tmp_path / "models", **settings),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert told in line
