import gc
import subprocess
import sys
import weakref
from typing import Any

import numpy as np
import pytest

from lentigo_contract.errors import DamagedVersionError, EngineError
from lentigo_contract.manifest.engines import LITERT_FILES, EngineName
from lentigo_contract.repository.store import ModelStore, StoredVersion
from lentigo_engines.base import Engine, Images, Prediction, warm_up
from lentigo_engines.litert import LiteRTEngine
from lentigo_inference.engines.selection import engine_loader
from lentigo_inference.serving.model_manager import ModelManager
from lentigo_inference.serving.model_slot import ModelSlot
from tests.fakes import made_unlikeness
from tests.models import QualityIssue, SavedModels, expected


@pytest.mark.parametrize(("count", "threads"), [(1, 1), (3, 1), (1, 2), (2, 3), (5, 2), (9, 8)])
@pytest.mark.parametrize("engine", ["litert", "litert-int8"])
def test_it_computes_what_the_saved_model_does(
    store: ModelStore, saved_models: SavedModels, engine: EngineName, count: int, threads: int
) -> None:
    stored = saved_models.publish(store, seed=1, litert=True, unlikeness=made_unlikeness())
    images = np.random.default_rng(2).integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)
    found = engine_loader(threads, engine)(stored).predict(images)
    served = engine_loader(1, "savedmodel")(stored).predict(images)
    truth = expected(images, 1, unlikeness=True)
    assert {values.dtype for values in found.tensors} == {np.dtype(np.float32)}
    for other in (served, truth):
        for ours, theirs in zip(found.tensors, other.tensors, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize(
    ("flaw", "reason"),
    [
        ("nan", "finite"),
        ("classes", r"float32 \[1, 6\]"),
        ("sum", "sum to 1"),
        ("signature", "cannot load"),
        ("input", "float32"),
        ("untold", "expected is .* activation_map, unlikeness"),
    ],
)
def test_a_flawed_model_is_refused_with_the_reason(
    store: ModelStore, saved_models: SavedModels, flaw: QualityIssue, reason: str
) -> None:
    stored = saved_models.publish(store, 1, flaw, litert=True, unlikeness=made_unlikeness())
    with pytest.raises(EngineError, match=reason):
        warm_up(engine_loader(1, "litert")(stored), stored.manifest)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(EngineError, match=r"cannot load litert/float32\.tflite"):
        LiteRTEngine("litert", b"not a model", 1)


def test_a_file_that_is_not_there_is_refused(store: ModelStore, saved_models: SavedModels) -> None:
    stored = saved_models.publish(store, 1, litert=True)
    (stored.path / LITERT_FILES["litert"]).unlink()

    with pytest.raises(DamagedVersionError, match="cannot be read"):
        engine_loader(1, "litert")(stored)


def test_it_goes_on_when_its_file_is_gone(store: ModelStore, saved_models: SavedModels) -> None:
    stored = saved_models.publish(store, 1, litert=True)
    engine = engine_loader(1, "litert")(stored)
    (stored.path / "litert/float32.tflite").write_bytes(b"")
    warm_up(engine, stored.manifest)


def test_the_service_runs_without_tensorflow(store: ModelStore, saved_models: SavedModels) -> None:
    saved_models.publish(store, seed=1, litert=True)
    code = f"""
import sys
from pathlib import Path

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "keras"):
            raise ImportError(name + " is not installed")

sys.meta_path.insert(0, Blocked())
import lentigo_inference.startup
from lentigo_contract.repository.store import ModelStore
from lentigo_engines.base import warm_up
from lentigo_inference.engines.selection import engine_loader

stored = ModelStore(Path({str(store.root)!r})).open(1)
engine = engine_loader(1)(stored)
warm_up(engine, stored.manifest)
print(engine.name)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    # Behind the log; which of the two is faster here is not the point.
    assert done.stdout.split()[-1] in ("litert", "litert-int8"), done.stderr


def test_without_litert_the_reason_names_what_to_install(
    store: ModelStore, saved_models: SavedModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = saved_models.publish(store, 1, litert=True)
    monkeypatch.setitem(sys.modules, "lentigo_engines.litert", None)
    with pytest.raises(EngineError, match=r"lentigo-inference\[litert\]"):
        engine_loader(1, "litert")(stored)


@pytest.mark.parametrize(("threads", "warmed"), [(1, [1]), (2, [1, 2]), (16, [1, 4])])
def test_it_takes_batches_apart_so_every_lane_is_warmed_up_once(
    store: ModelStore,
    saved_models: SavedModels,
    monkeypatch: pytest.MonkeyPatch,
    threads: int,
    warmed: list[int],
) -> None:
    stored = saved_models.publish(store, seed=1, litert=True)
    engine = engine_loader(threads, "litert")(stored)
    sizes: list[int] = []
    predict = engine.predict

    def noted(images: Images) -> Prediction:
        sizes.append(len(images))
        return predict(images)

    monkeypatch.setattr(engine, "predict", noted)
    warm_up(engine, stored.manifest, (1, 2, 4, 8))
    assert sizes == warmed


def test_reloading_frees_every_interpreter_but_the_one_in_use(
    store: ModelStore, saved_models: SavedModels
) -> None:
    """Counted without the collector, which would find them late, under load."""
    saved_models.publish(store, seed=1, litert=True)
    interpreters: list[weakref.ref[Any]] = []
    load = engine_loader(2, "litert")

    def counted(stored: StoredVersion) -> Engine:
        engine = load(stored)
        lanes = [engine._alone, *engine._lanes]  # type: ignore[attr-defined]
        interpreters.extend(weakref.ref(lane._interpreter) for lane in lanes)
        return engine

    slot = ModelSlot(lambda model: model.engine.close())
    model_manager = ModelManager(store, slot, counted)
    gc.disable()
    try:
        for _ in range(5):
            model_manager.load()
        assert [each() is None for each in interpreters] == [True] * 12 + [False] * 3
        slot.close()
        assert all(each() is None for each in interpreters)
    finally:
        gc.enable()


def test_weights_that_change_between_the_check_and_the_load_are_refused(
    store: ModelStore, saved_models: SavedModels
) -> None:
    stored = saved_models.publish(store, seed=1, litert=True)
    opened = store.open(stored.version)
    file = stored.path / LITERT_FILES["litert"]
    content = bytearray(file.read_bytes())
    content[-40:] = bytes(40)
    file.write_bytes(content)

    for engine in ("litert", "auto"):
        with pytest.raises(DamagedVersionError, match="has changed"):
            engine_loader(1, engine)(opened)
