from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import structlog

from lentigo_contract.errors import EngineError
from lentigo_contract.manifest.engines import EngineName, Golden, GoldenAnswer, golden_images
from lentigo_contract.manifest.manifest import FileRecord, Manifest
from lentigo_contract.repository.store import ModelStore, StoredVersion
from lentigo_engines.base import Engine, Images, Prediction
from lentigo_inference.engines.selection import check_golden, choose, engine_loader
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

    def __init__(self, name: str, alter: Callable[[Prediction], Prediction]) -> None:
        super().__init__(seed=1)
        self.name = name
        self.alter = alter

    def predict(self, images: Images) -> Prediction:
        return self.alter(super().predict(images))


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

    def __call__(self, engine: EngineName, stored: StoredVersion, threads: int) -> Engine:
        assert stored.version == threads == 1
        if engine not in self.alter:
            raise EngineError(f"{engine} is not installed here.")
        self.opened.append(Named(engine, self.alter[engine]))
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
    return StoredVersion(version.path, version.version, described)


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
        loaded = engine_loader(1, open_engine=openers)(stored)
    assert loaded.name == engine
    assert all(opened.closed for opened in openers.opened if opened is not loaded)
    failed: list[dict[str, Any]] = [dict(e) for e in log if e["event"] == "engine failed"]
    assert all(entry["reason"] for entry in failed)
    assert engine not in [entry["engine"] for entry in failed]


def test_an_engine_that_was_asked_for_does_not_give_way(stored: StoredVersion) -> None:
    with pytest.raises(EngineError, match="litert is not installed"):
        engine_loader(1, "litert", Openers(savedmodel=same))(stored)


def test_when_every_engine_fails_every_reason_is_told(stored: StoredVersion) -> None:
    with pytest.raises(EngineError, match=r"litert-int8 is not.* savedmodel is not"):
        engine_loader(1, open_engine=Openers())(stored)


def test_the_golden_answer_is_held_to_its_tolerance() -> None:
    answer = golden("litert").answers["litert"]
    check_golden(Named("litert", same), golden("litert"))
    check_golden(Named("litert", reversed_labels), golden("savedmodel"))
    for alter in (reversed_labels, nan):
        with pytest.raises(EngineError, match="golden answer"):
            check_golden(Named("litert", alter), Golden(seed=5, answers={"litert": answer}))
