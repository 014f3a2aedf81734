"""A version on trial beside the one in use: compared, promoted, killed and hung."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from lentigo_contract.labels import CODES
from lentigo_contract.repository.store import ModelStore
from lentigo_inference.audit.export import records_in
from lentigo_inference.audit.signing import Verifier, make_key
from lentigo_inference.audit.verification import verify
from lentigo_inference.cli import main
from lentigo_inference.security.api_keys import Scope, add_key
from lentigo_inference.security.api_keys import make_key as make_api_key
from tests.e2e import eager_service
from tests.e2e.service_process import DEADLINE_S, ServiceProcess, environment
from tests.fakes import jpeg_bytes, lesion_image
from tests.models import SavedModels

PREDICTIONS = "/v1/predictions"
LOAD = "/v2/repository/models/lentigo/load"
CLIENTS = 4


@pytest.fixture
def store(tmp_path: Path, saved_models: SavedModels) -> ModelStore:
    """Versions 1 and 2, which are other networks."""
    store = ModelStore(tmp_path / "models")
    for seed in (1, 2):
        saved_models.publish(store, seed, litert=True)
    return store


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "audit"
    folder.mkdir()
    make_key(tmp_path / "audit.key")
    return {
        "LENTIGO_SHADOW_VERSION": "2",
        "LENTIGO_ENGINE": "litert",
        "LENTIGO_AUDIT_DIR": str(folder),
        "LENTIGO_AUDIT_KEY": str(tmp_path / "audit.key"),
    }


@contextmanager
def eager(store: ModelStore, settings: dict[str, str], *arguments: str) -> Iterator[ServiceProcess]:
    """Run the service with a shadow version that does not yield to the other tests."""
    given = {**environment(store.root, **settings), "PYTHONPATH": ":".join(filter(None, sys.path))}
    service = ServiceProcess(given, (sys.executable, "-m", eager_service.__name__, *arguments))
    try:
        with service.client:
            yield service
    finally:
        service.process.kill()
        service.join()


@pytest.fixture
def service(store: ModelStore, settings: dict[str, str]) -> Iterator[ServiceProcess]:
    with eager(store, settings) as service:
        service.logged("model in use", version=1)
        service.logged("shadow version loaded", version=2)
        yield service


def picture(number: int) -> bytes:
    return jpeg_bytes(lesion_image(number, CODES[number % len(CODES)]))


def answer_of(service: ServiceProcess, number: int = 0) -> dict[str, object]:
    response = service.client.post(PREDICTIONS, files={"image": picture(number)})
    assert response.status_code == 200, response.text
    answer: dict[str, object] = response.json()
    assert answer["model"]["version"] == "1"  # type: ignore[index]
    return answer


def metric(service: ServiceProcess, line: str) -> float:
    """Give the value of a series, as it stands in the metrics."""
    for each in service.client.get("/metrics").text.splitlines():
        if each.startswith(f"{line} "):
            return float(each.rpartition(" ")[2])
    raise AssertionError(f"no {line}")


def images(service: ServiceProcess, outcome: str) -> float:
    return metric(service, f'lentigo_shadow_images_total{{outcome="{outcome}"}}')


def until(holds: Callable[[], bool]) -> None:
    deadline, pause = time.monotonic() + DEADLINE_S, threading.Event()
    while not holds():
        assert time.monotonic() < deadline
        pause.wait(0.02)


def shadow_process(service: ServiceProcess) -> int:
    """The number of the process that the service started."""
    (child,) = (
        int(child)
        for task in Path(f"/proc/{service.process.pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    )
    return child


def state_of(pid: int) -> str | None:
    """The state of a process, such as T if it stands still; None if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return None


def test_what_the_shadow_says_is_on_record_and_compared_and_in_no_answer(
    service: ServiceProcess,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers = [answer_of(service, number) for number in range(10)]
    until(lambda: images(service, "compared") + images(service, "dropped") == 10)
    compared = int(images(service, "compared"))
    assert compared >= 1
    assert service.stop() == 0
    folder = tmp_path / "audit"
    records = [each for each in records_in(folder) if each["kind"] == "shadow"]
    assert len(records) == compared
    by_id = {answer["id"]: answer for answer in answers}
    for record in records:
        assert record["version"] == 2
        answer = by_id[record["answer"]]
        assert record["served"]["diagnosis"] == answer["diagnosis"]["code"]  # type: ignore[index]
        assert record["image_sha256"] == answer["image"]["sha256"]  # type: ignore[index]
    (report,) = verify(folder, Verifier([tmp_path / "audit.key.pub"])).series
    assert report.findings == ()
    assert main(["compare", str(folder)]) == 0
    out = capsys.readouterr().out
    assert f"Version 2 in the shadow of version 1: {compared} images" in out
    differing = [
        each
        for each in records
        if (each["diagnosis"], each["refer"])
        != (each["served"]["diagnosis"], each["served"]["refer"])
    ]
    assert f"They differ on {len(differing)} answers:" in out
    assert all(each["answer"] in out for each in differing)


def test_a_shadow_that_is_killed_changes_no_answer(service: ServiceProcess) -> None:
    answer_of(service)
    os.kill(shadow_process(service), signal.SIGKILL)
    service.logged("shadow version failed", version=2)
    for number in range(5):
        answer_of(service, number)
    assert images(service, "dropped") >= 5
    assert metric(service, "lentigo_shadow_version") == 0
    assert service.stop() == 0


def test_a_shadow_that_hangs_delays_no_answer_and_no_stop(
    store: ModelStore, settings: dict[str, str]
) -> None:
    with eager(store, settings, "hang") as service:
        service.logged("model in use", version=1)
        service.logged("shadow version loaded", version=2)
        for number in range(80):
            answer_of(service, number % 7)
        # The process has one, and 64 wait.
        assert images(service, "dropped") >= 80 - 65
        assert service.stop() == 0


def test_a_shadow_that_stands_still_ends_with_a_service_that_is_killed(
    service: ServiceProcess,
) -> None:
    shadow = shadow_process(service)
    os.kill(shadow, signal.SIGSTOP)
    service.process.kill()
    until(lambda: state_of(shadow) in {None, "Z"})


def test_a_shadow_that_cannot_be_loaded_is_one_line(
    store: ModelStore, settings: dict[str, str]
) -> None:
    (store.folder / "2" / "litert" / "float32.tflite").write_bytes(b"no model")
    with eager(store, settings) as service:
        service.logged("model in use", version=1)
        refusal = service.logged("shadow version not loaded", version=2)
        assert "float32.tflite" in refusal["reason"]
        answer_of(service)
        assert service.stop() == 0
    assert sum("shadow version" in line for line in service.lines) == 1


def test_a_shadow_is_promoted_without_a_lost_request(
    store: ModelStore, settings: dict[str, str], tmp_path: Path
) -> None:
    keys = {}
    for scope in (Scope.ADMIN, Scope.PREDICT):
        entry, keys[scope] = make_api_key(scope.value, frozenset({scope}))
        add_key(tmp_path / "keys.json", entry)
    guarded = {**settings, "LENTIGO_KEY_FILE": str(tmp_path / "keys.json")}
    enough, promoted, versions = threading.Event(), threading.Event(), list[str]()

    with eager(store, guarded) as service:
        service.logged("model in use", version=1)
        service.logged("shadow version loaded", version=2)

        def ask() -> None:
            headers = {"Authorization": f"Bearer {keys[Scope.PREDICT]}"}
            with httpx.Client(base_url=service.url, timeout=DEADLINE_S, headers=headers) as client:
                after = 0
                while after < 5:
                    response = client.post(PREDICTIONS, files={"image": picture(after)})
                    assert response.status_code == 200, response.text
                    versions.append(response.json()["model"]["version"])
                    after += promoted.is_set()
                    if len(versions) > 10:
                        enough.set()

        with ThreadPoolExecutor(CLIENTS) as clients:
            asking = [clients.submit(ask) for _ in range(CLIENTS)]
            try:
                assert enough.wait(DEADLINE_S)
                response = service.client.post(
                    LOAD,
                    json={"parameters": {"version": "2"}},
                    headers={"Authorization": f"Bearer {keys[Scope.ADMIN]}"},
                )
            finally:
                promoted.set()
            for each in asking:
                each.result(DEADLINE_S)
        assert (response.status_code, response.json()["version"]) == (200, "2")
        service.logged("shadow version in use", version=2)
        assert service.stop() == 0
    assert versions[0] == "1"
    assert versions[-1] == "2"


def test_the_newest_version_is_not_taken_up_while_it_is_on_trial(
    service: ServiceProcess,
) -> None:
    entries = service.client.post("/v2/repository/index", json={}).json()
    states = {entry["version"]: entry for entry in entries}
    assert states["1"]["state"] == "READY"
    assert "LENTIGO_SHADOW_VERSION" in states["2"]["reason"]
