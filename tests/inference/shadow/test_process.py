"""The process of a shadow version: the real one, and some that go wrong."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from lentigo_contract.errors import EngineError
from lentigo_contract.labels import CODES
from lentigo_contract.repository.store import ModelStore
from lentigo_inference.audit.records import Served
from lentigo_inference.errors import ShadowError, VersionRefusedError
from lentigo_inference.settings import Settings
from lentigo_inference.shadow.process import COMMAND, Offer, Patience, ShadowProcess
from tests.fakes import made_unlikeness
from tests.inference.shadow.trials import DEADLINE_S, EAGER, offer
from tests.models import SavedModels, expected

PATIENT = Patience(load_s=300.0, answer_s=300.0)

CONNECT = (
    "import sys; from multiprocessing.connection import Connection as C; c = C(int(sys.argv[1]));"
)


@contextmanager
def started(
    settings: Settings, *command: str, patience: Patience = PATIENT
) -> Iterator[ShadowProcess]:
    process = ShadowProcess(settings, command or EAGER, patience)
    try:
        yield process
    finally:
        process.close()


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", f"{CONNECT}{code}")


@pytest.fixture
def shadowed(settings: Settings) -> Settings:
    return settings.model_copy(update={"shadow_version": 1, "engine": "litert"})


def test_it_says_of_an_image_what_the_version_says(
    shadowed: Settings, store: ModelStore, saved_models: SavedModels
) -> None:
    stored = saved_models.publish(store, 5, litert=True, unlikeness=made_unlikeness())
    pixels = np.random.default_rng(1).integers(0, 256, (224, 224, 3), np.uint8)
    pixels[..., 2] = 0
    served = Served("a-1", "a" * 64, 3, "nv", refer=False)
    with started(shadowed) as process:
        model = process.load()
        said = process.answer(Offer(served, pixels, (), force=False))
        blank = process.answer(Offer(served, pixels, ("blank",), force=False))
        forced = process.answer(Offer(served, pixels, ("blank",), force=True))
        process.require_running()
    assert (model.name, model.version, model.engine) == ("lentigo", 1, "litert")
    assert model.manifest_sha256 == stored.manifest_sha256
    (row,) = expected(pixels[None], 5).probabilities
    assert said.diagnosis == CODES[int(row.argmax())]
    assert list(said.probabilities.values()) == pytest.approx(row.tolist(), abs=1e-5)
    assert (blank.diagnosis, blank.refer, list(blank.quality)) == (None, True, ["blank"])
    assert (forced.diagnosis, list(forced.reasons)[-1]) == (said.diagnosis, "unusable")


def test_it_is_the_first_to_yield_and_the_first_to_be_ended(shadowed: Settings) -> None:
    with started(shadowed, *COMMAND) as process:
        until(lambda: os.sched_getscheduler(process.pid) == os.SCHED_IDLE)
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == 19
        assert int(Path(f"/proc/{process.pid}/oom_score_adj").read_text()) == 1000
        # Else the scheduler would give it the share of a session.
        assert os.getsid(process.pid) == os.getsid(0)
        assert os.getpgid(process.pid) == process.pid


@pytest.mark.parametrize("flaw", ["missing", "damaged"])
def test_a_version_that_cannot_be_loaded_says_why(
    shadowed: Settings, store: ModelStore, saved_models: SavedModels, flaw: str
) -> None:
    if flaw == "damaged":
        stored = saved_models.publish(store, 5, litert=True)
        (stored.path / "litert" / "float32.tflite").write_bytes(b"changed")
    told = "has no version 1" if flaw == "missing" else "float32.tflite"
    with started(shadowed) as process, pytest.raises(VersionRefusedError, match=told):
        process.load()


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import os; os.abort()", "signal 6"),
        ("sys.exit(7)", "exit code 7"),
        ("c.recv_bytes(); c.send_bytes(b'no JSON'); c.recv_bytes()", "did not give an answer"),
        ("c.recv_bytes(); c.send_bytes(b'{\"loaded\": 1}'); c.recv_bytes()", "not describe"),
    ],
    ids=["crash", "exit", "rubbish", "wrong"],
)
def test_a_process_that_goes_wrong_while_loading_is_an_error(
    shadowed: Settings, code: str, told: str
) -> None:
    with started(shadowed, *python(code)) as process, pytest.raises(ShadowError, match=told):
        process.load()


LOADED = (
    'c.recv_bytes(); c.send_bytes(b\'{"loaded": {"name": "lentigo", "version": 1,'
    ' "manifest_sha256": "0", "engine": "x", "settings": {}}}\');'
    "c.recv_bytes(); c.recv_bytes();"
)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import os; os.abort()", "signal 6"),
        ("c.send_bytes(b'[]'); c.recv_bytes()", "not give an answer"),
        ('c.send_bytes(b\'{"said": {"diagnosis": 1}}\'); c.recv_bytes()', "not give an answer"),
        ("c.send_bytes(b'[' * 100000); c.recv_bytes()", "not give an answer"),
        ("c.send_bytes(b'x' * 2**21); c.recv_bytes()", "broke off"),
    ],
    ids=["crash", "list", "wrong", "nested", "long"],
)
def test_a_process_that_goes_wrong_while_answering_is_an_error(
    shadowed: Settings, code: str, told: str
) -> None:
    with started(shadowed, *python(LOADED + code)) as process:
        process.load()
        with pytest.raises(ShadowError, match=told):
            process.answer(offer())


def test_a_process_that_hangs_is_an_error_after_a_while(shadowed: Settings) -> None:
    hurried = Patience(load_s=300.0, answer_s=0.05)
    hanging = python(LOADED + "c.recv_bytes()")
    with started(shadowed, *hanging, patience=hurried) as process:
        process.load()
        with pytest.raises(ShadowError, match=r"within 0\.05 seconds"):
            process.answer(offer())


def state_of(process: ShadowProcess) -> str:
    """The state of a process; T stands still (man 5 proc)."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]


def until(holds: Callable[[], bool]) -> None:
    deadline, pause = time.monotonic() + DEADLINE_S, threading.Event()
    while not holds():
        assert time.monotonic() < deadline
        pause.wait(0.01)


def test_it_stands_still_while_it_is_held(shadowed: Settings) -> None:
    with started(shadowed, *python("c.recv_bytes()")) as process:
        process.hold()
        until(lambda: state_of(process) == "T")
        process.release()
        until(lambda: state_of(process) != "T")


def test_it_is_not_held_for_ever(shadowed: Settings) -> None:
    code = 'c.send_bytes(b\'{"failed": "no"}\'); c.recv_bytes()'
    with started(shadowed, *python(LOADED + code)) as process:
        process.load()
        process.hold()
        until(lambda: state_of(process) == "T")
        with pytest.raises(EngineError, match="no"):
            process.answer(offer())


def test_one_that_has_ended_can_be_held_and_released(shadowed: Settings) -> None:
    with started(shadowed, *python("sys.exit(7)")) as process:
        with pytest.raises(ShadowError, match="exit code 7"):
            process.load()
        process.hold()
        process.release()


def test_a_process_that_was_killed_is_noticed(shadowed: Settings) -> None:
    with started(shadowed, *python("c.recv_bytes()")) as process:
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(ShadowError, match="signal 9"):
            process.load()
        with pytest.raises(ShadowError, match="signal 9"):
            process.require_running()


def test_it_ends_when_the_service_does(
    shadowed: Settings, store: ModelStore, saved_models: SavedModels
) -> None:
    saved_models.publish(store, 5, litert=True)
    process = ShadowProcess(shadowed, EAGER)
    process.load()
    # As the kernel does for a service that was killed.
    process._connection.close()
    assert process._process.wait(60) == 0
