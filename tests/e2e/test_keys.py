"""`make serve` with a key file, as an operator uses it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.service_process import COMMAND, DEADLINE_S, ServiceProcess, environment
from tests.fakes import jpeg_bytes

ROOT = Path(__file__).parents[2]
LOAD = "/v2/repository/models/lentigo/load"


def made_key(file: Path, *scopes: str) -> str:
    command = [*COMMAND, "keys", "add", "-".join(scopes), "--file", str(file)]
    options = [part for scope in scopes for part in ("--scope", scope)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    (key,) = [line for line in done.stdout.splitlines() if line.startswith("lentigo_")]
    return key


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    return {
        "file": str(file),
        "predict": made_key(file, "predict"),
        "admin": made_key(file, "admin"),
    }


@pytest.fixture(scope="module")
def service(keys: dict[str, str]) -> Iterator[ServiceProcess]:
    # The environment that runs the tests has everything, so nothing is to be installed.
    make = ["make", f"VENV={sys.prefix}", "-o", f"{sys.prefix}/.inference", "serve"]
    settings = environment(ROOT / "models", LENTIGO_KEY_FILE=keys["file"], LENTIGO_ENGINE="litert")
    service = ServiceProcess(settings, make, ROOT)
    try:
        service.logged("model in use")
        with service.client:
            yield service
    finally:
        os.killpg(service.process.pid, signal.SIGTERM)
        service.join()


def predict(service: ServiceProcess, **headers: str) -> httpx.Response:
    return service.client.post("/v1/predictions", content=jpeg_bytes(), headers=headers)


def test_without_a_key_it_is_401_and_with_one_200(
    service: ServiceProcess, keys: dict[str, str]
) -> None:
    assert predict(service).status_code == 401
    assert predict(service, Authorization="Bearer lentigo_0_0").status_code == 401
    assert predict(service, Authorization=f"Bearer {keys['predict']}").status_code == 200
    assert predict(service, **{"X-API-Key": keys["predict"]}).status_code == 200


def test_administration_is_403_with_a_predict_key_and_200_with_an_admin_key(
    service: ServiceProcess, keys: dict[str, str]
) -> None:
    def load(key: str) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        return service.client.post(LOAD, headers=headers, timeout=DEADLINE_S).status_code

    assert load(keys["predict"]) == 403
    assert load(keys["admin"]) == 200
    assert predict(service, **{"X-API-Key": keys["admin"]}).status_code == 403


def test_no_key_reaches_the_log_but_its_name_does(
    service: ServiceProcess, keys: dict[str, str]
) -> None:
    assert predict(service, **{"X-API-Key": keys["predict"]}).status_code == 200
    service.logged("request", key="predict")
    log = "\n".join(service.lines)
    assert keys["predict"] not in log
    assert keys["admin"] not in log
