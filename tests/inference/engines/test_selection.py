from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import structlog

from lentigo_contract.errors import DamagedVersionError, EngineError
from lentigo_contract.manifest.engines import EngineName, Golden, GoldenAnswer, golden_images
from lentigo_contract.manifest.manifest import FileRecord, Manifest
from lentigo_contract.repository.store import ModelStore, StoredVersion
from lentigo_engines.base import Engine, Images, Prediction
from lentigo_inference.engines.measured import MeasuredEngine
from lentigo_inference.engines.selection import choose, engine_loader
from lentigo_inference.settings import EngineSetting
from tests.fakes import made_agreement, made_manifest
from tests.models import PlainEngine, expected, publish_plain

FILES = {
    name: FileRecord(sha256="0" * 64, bytes=1)
    for name in ("litert/float32.tflite", "litert/int8.tflite")
}
GOOD = made_agreement()
POOR = made_agreement(equal_diagnoses=0.98)
OFF = made_agreement(balanced_accuracy_change=-0.006)


def manifest(**agreement: object) -> Manifest:
    """A version with both files; `litert` and `int8` are what is on record of them."""
    on_record = {
        name: figures
        for name, figures in (
            ("litert", agreement.get("litert")),
            ("litert-int8", agreement.get("int8")),
        )
        if figures
    }
    return made_manifest(files=FILES, agreement=on_record)


@pytest.mark.parametrize(
    ("setting", "version", "engines"),
    [
        ("auto", manifest(litert=GOOD, int8=GOOD), ("litert-int8", "litert", "savedmodel")),
        ("auto", manifest(litert=GOOD, int8=POOR), ("litert", "savedmodel")),
        ("auto", manifest(litert=GOOD, int8=OFF), ("litert", "savedmodel")),
        ("auto", manifest(litert=GOOD), ("litert", "savedmodel")),
        ("auto", manifest(litert=OFF, int8=GOOD), ("litert-int8", "savedmodel")),
        ("auto", manifest(litert=POOR, int8=OFF), ("savedmodel",)),
        ("auto", manifest(), ("savedmodel",)),
        ("auto", made_manifest(), ("savedmodel",)),
        ("auto", made_manifest(agreement={"litert": GOOD}), ("savedmodel",)),
        ("savedmodel", manifest(litert=GOOD, int8=GOOD), ("savedmodel",)),
        ("litert", manifest(litert=POOR), ("litert",)),
        ("litert-int8", made_manifest(), ("litert-int8",)),
    ],
)
def test_auto_takes_the_fastest_that_agrees_and_a_name_is_obeyed(
    setting: EngineSetting, version: Manifest, engines: tuple[EngineName, ...]
) -> None:
    assert choose(setting, version).engines == engines


def test_every_engine_that_is_passed_over_has_a_reason() -> None:
    choice = choose("auto", manifest(litert=POOR))
    assert "98.00%" in choice.passed_over["litert"]
    assert "does not say" in choice.passed_over["litert-int8"]
    assert "no litert/int8.tflite" in choose("auto", made_manifest()).passed_over["litert-int8"]


class Named(PlainEngine):
    """An engine in numpy under another name, with an answer of its own."""

    def __init__(
        self,
        name: str,
        alter: Callable[[Prediction], Prediction],
        clock: "MadeUpClock | None" = None,
        seconds: float = 1.0,
    ) -> None:
        super().__init__(seed=1)
        self.name = name
        self.alter = alter
        self.clock = clock or MadeUpClock()
        self.seconds = seconds
        self.delays: list[float] = []

    def predict(self, images: Images) -> Prediction:
        self.clock.now += self.seconds * len(images)
        if self.delays and len(images) > 1:
            self.clock.now += self.delays.pop()
        return self.alter(super().predict(images))


class MadeUpClock:
    """Goes on only while an engine computes."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def same(prediction: Prediction) -> Prediction:
    return prediction


def nan(prediction: Prediction) -> Prediction:
    return Prediction(prediction.probabilities * np.float32("nan"), prediction.activation_map)


def reversed_labels(prediction: Prediction) -> Prediction:
    return Prediction(prediction.probabilities[:, ::-1], prediction.activation_map)


class Openers:
    """Opens made-up engines, and remembers them."""

    def __init__(self, **alter: Callable[[Prediction], Prediction]) -> None:
        self.alter = {name.replace("_", "-"): change for name, change in alter.items()}
        self.opened: list[Named] = []
        self.clock = MadeUpClock()
        # That an image takes; by default int8 is twice as fast as float32.
        self.seconds = {"litert-int8": 0.5, "litert": 1.0}
        # That batches take beyond that, the last one first.
        self.delays: dict[str, list[float]] = {}

    def __call__(self, engine: EngineName, stored: StoredVersion, threads: int) -> Engine:
        assert stored.version == threads == 1
        if engine not in self.alter:
            raise EngineError(f"{engine} is not installed here.")
        seconds = self.seconds.get(engine, 2.0)
        self.opened.append(Named(engine, self.alter[engine], self.clock, seconds))
        self.opened[-1].delays = self.delays.get(engine, [])
        return self.opened[-1]


def golden(*engines: EngineName) -> Golden:
    rows = tuple(
        tuple(float(value) for value in row)
        for row in expected(golden_images(5, 2), seed=1).probabilities
    )
    answer = GoldenAnswer(probabilities=rows, tolerance=1e-4)
    return Golden(seed=5, answers=dict.fromkeys(engines, answer))


@pytest.fixture
def stored(store: ModelStore) -> StoredVersion:
    version = publish_plain(store, 1)
    changes = {
        "files": FILES,
        "agreement": {"litert": GOOD, "litert-int8": GOOD},
        "golden": golden("litert", "litert-int8", "savedmodel"),
    }
    described = version.manifest.model_copy(update=changes)
    return replace(version, manifest=described)


@pytest.mark.parametrize(
    ("openers", "engine"),
    [
        (Openers(litert_int8=same, litert=same, savedmodel=same), "litert-int8"),
        (Openers(litert=same, savedmodel=same), "litert"),
        (Openers(litert_int8=nan, litert=same), "litert"),
        (Openers(litert_int8=reversed_labels, litert=nan, savedmodel=same), "savedmodel"),
    ],
    ids=["sound", "not installed", "nan", "another answer"],
)
def test_an_engine_that_fails_gives_way_to_the_next(
    stored: StoredVersion, openers: Openers, engine: str
) -> None:
    with structlog.testing.capture_logs() as log:
        loaded = engine_loader(1, open_engine=openers, clock=openers.clock)(stored)
    assert loaded.name == engine
    assert [opened.name for opened in openers.opened if not opened.closed] == [engine]
    failed: list[dict[str, Any]] = [dict(e) for e in log if e["event"] == "engine failed"]
    assert all(entry["reason"] for entry in failed)
    assert engine not in [entry["engine"] for entry in failed]


@pytest.mark.parametrize(
    ("int8", "float32", "engine"),
    [(0.5, 1.0, "litert-int8"), (1.0, 0.5, "litert"), (0.98, 1.0, "litert"), (1.0, 1.0, "litert")],
    ids=["int8 is faster", "int8 is slower", "int8 is hardly faster", "they are equal"],
)
def test_auto_measures_the_engines_that_agree_and_takes_the_faster(
    stored: StoredVersion, int8: float, float32: float, engine: str
) -> None:
    openers = Openers(litert_int8=same, litert=same, savedmodel=same)
    openers.seconds = {"litert-int8": int8, "litert": float32}

    with structlog.testing.capture_logs() as log:
        loaded = engine_loader(1, open_engine=openers, clock=openers.clock)(stored)

    assert loaded.name == engine
    assert isinstance(loaded, MeasuredEngine)
    speeds = dict(loaded.images_per_second)
    assert speeds == pytest.approx({"litert-int8": 1 / int8, "litert": 1 / float32})
    assert [opened.name for opened in openers.opened if not opened.closed] == [engine]
    (told,) = (entry for entry in log if entry["event"] == "engine chosen")
    assert told["engine"] == engine
    assert set(told["images_per_second"]) == {"litert-int8", "litert"}


def test_neither_one_slow_batch_nor_waiting_for_a_turn_decides(stored: StoredVersion) -> None:
    openers = Openers(litert_int8=same, litert=same)
    openers.delays["litert-int8"] = [50.0, 0.0]

    def wait_for_int8(run: Callable[[], Prediction]) -> Prediction:
        openers.clock.now += 100 if openers.opened[-1].name == "litert-int8" else 0
        return run()

    load = engine_loader(1, open_engine=openers, in_turn=wait_for_int8, clock=openers.clock)

    assert load(stored).name == "litert-int8"


def test_a_reload_takes_what_was_measured_of_the_version(stored: StoredVersion) -> None:
    """Otherwise a busy machine would change the engine, and with it the answers, of a version."""
    openers = Openers(litert_int8=same, litert=same)
    load = engine_loader(1, open_engine=openers, clock=openers.clock)
    first = load(stored)
    openers.seconds = {"litert-int8": 1.0, "litert": 0.5}

    again = load(stored)
    other = load(replace(stored, manifest_sha256="00" * 32))

    assert (first.name, again.name, other.name) == ("litert-int8", "litert-int8", "litert")
    assert isinstance(first, MeasuredEngine)
    assert isinstance(again, MeasuredEngine)
    assert again.images_per_second == first.images_per_second
    assert [opened.name for opened in openers.opened if not opened.closed] == [
        *("litert-int8", "litert-int8", "litert")
    ]


def test_an_engine_that_fails_at_a_reload_gives_way(stored: StoredVersion) -> None:
    openers = Openers(litert_int8=same, litert=same)
    load = engine_loader(1, open_engine=openers, clock=openers.clock)
    assert load(stored).name == "litert-int8"
    openers.alter["litert-int8"] = nan

    assert load(stored).name == "litert"


def test_an_engine_that_does_not_agree_is_not_even_measured(stored: StoredVersion) -> None:
    changed = {"agreement": {"litert": GOOD, "litert-int8": POOR}}
    disagreeing = replace(stored, manifest=stored.manifest.model_copy(update=changed))
    openers = Openers(litert_int8=same, litert=same, savedmodel=same)

    loaded = engine_loader(1, open_engine=openers, clock=openers.clock)(disagreeing)

    assert loaded is openers.opened[0]
    assert [opened.name for opened in openers.opened] == ["litert"]


def test_any_failure_of_an_engine_gives_way_and_closes_what_was_opened(
    stored: StoredVersion,
) -> None:
    def out_of_memory(_prediction: Prediction) -> Prediction:
        raise MemoryError

    openers = Openers(litert_int8=out_of_memory, litert=same)

    assert engine_loader(1, open_engine=openers, clock=openers.clock)(stored).name == "litert"
    assert [opened.name for opened in openers.opened if not opened.closed] == ["litert"]


def test_a_changed_file_refuses_the_version_and_closes_what_was_opened(
    stored: StoredVersion,
) -> None:
    openers = Openers(litert_int8=same, litert=same)

    def tampered(engine: EngineName, stored: StoredVersion, threads: int) -> Engine:
        if engine == "litert":
            raise DamagedVersionError("changed")
        return openers(engine, stored, threads)

    with pytest.raises(DamagedVersionError):
        engine_loader(1, open_engine=tampered)(stored)
    assert all(opened.closed for opened in openers.opened)


def test_an_engine_that_was_asked_for_does_not_give_way(stored: StoredVersion) -> None:
    with pytest.raises(EngineError, match="litert is not installed"):
        engine_loader(1, "litert", Openers(savedmodel=same))(stored)


def test_when_every_engine_fails_every_reason_is_told(stored: StoredVersion) -> None:
    with pytest.raises(EngineError, match=r"litert-int8 is not.* savedmodel is not"):
        engine_loader(1, open_engine=Openers())(stored)
