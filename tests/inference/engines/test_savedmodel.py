import gc
import weakref
from pathlib import Path

import numpy as np
import pytest

from lentigo_contract.errors import DamagedVersionError, EngineError
from lentigo_contract.repository.store import ModelStore
from lentigo_engines.base import warm_up
from lentigo_engines.savedmodel import SavedModelEngine
from lentigo_inference.engines.selection import engine_loader
from tests.fakes import made_unlikeness
from tests.models import QualityIssue, SavedModels, expected

load = engine_loader(threads=1, setting="savedmodel")


@pytest.mark.parametrize("count", [1, 3])
def test_it_computes_what_the_network_does(
    store: ModelStore, saved_models: SavedModels, count: int
) -> None:
    engine = load(saved_models.publish(store, seed=1, unlikeness=made_unlikeness()))
    images = np.random.default_rng(2).integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)
    prediction, truth = engine.predict(images), expected(images, 1, unlikeness=True)
    assert prediction.probabilities.dtype == prediction.activation_map.dtype == np.float32
    np.testing.assert_allclose(prediction.probabilities, truth.probabilities, atol=1e-5)
    np.testing.assert_allclose(prediction.activation_map, truth.activation_map, atol=1e-4)
    assert prediction.unlikeness is not None
    assert truth.unlikeness is not None
    np.testing.assert_allclose(prediction.unlikeness, truth.unlikeness, atol=1e-5)


def test_an_output_that_the_manifest_does_not_name_is_not_asked_for(
    store: ModelStore, saved_models: SavedModels
) -> None:
    engine = load(saved_models.publish(store, seed=1))
    assert engine.predict(np.zeros((1, 224, 224, 3), np.uint8)).unlikeness is None


@pytest.mark.parametrize(
    ("flaw", "reason"),
    [
        ("nan", "finite"),
        ("classes", r"float32 \[1, 6\]"),
        ("sum", "sum to 1"),
        ("signature", "serving_default"),
        ("input", "float32"),
        ("untold", "expected is .* activation_map, unlikeness"),
    ],
)
def test_a_flawed_model_is_refused_with_the_reason(
    store: ModelStore, saved_models: SavedModels, flaw: QualityIssue, reason: str
) -> None:
    stored = saved_models.publish(store, 1, flaw, unlikeness=made_unlikeness())
    with pytest.raises(EngineError, match=reason):
        warm_up(load(stored), stored.manifest)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot load"):
        SavedModelEngine(tmp_path, 1)
    (tmp_path / "saved_model.pb").write_bytes(b"not a graph")
    with pytest.raises(EngineError, match="cannot load"):
        SavedModelEngine(tmp_path, 1)


def test_weights_that_change_between_the_check_and_the_load_are_refused(
    store: ModelStore, saved_models: SavedModels
) -> None:
    saved_models.publish(store, 1)
    stored = store.open(1)
    weights = stored.path / "variables/variables.data-00000-of-00001"
    weights.write_bytes(bytes(weights.stat().st_size))

    with pytest.raises(DamagedVersionError, match="has changed"):
        load(stored)


def test_closing_frees_the_variables(store: ModelStore, saved_models: SavedModels) -> None:
    engine = load(saved_models.publish(store, 1))
    engine.predict(np.zeros((1, 224, 224, 3), np.uint8))
    variable = weakref.ref(engine._model.weights)  # type: ignore[attr-defined]
    assert variable() is not None
    gc.disable()
    try:
        engine.close()
        assert variable() is None
    finally:
        gc.enable()


def test_without_tensorflow_the_reason_names_what_to_install(
    store: ModelStore, saved_models: SavedModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = saved_models.publish(store, 1)
    monkeypatch.setitem(__import__("sys").modules, "lentigo_engines.savedmodel", None)
    with pytest.raises(EngineError, match=r"lentigo-inference\[savedmodel\]"):
        load(stored)


def test_models_are_made_once(tmp_path: Path, saved_models: SavedModels) -> None:
    first = saved_models.publish(ModelStore(tmp_path / "a"), 1)
    second = saved_models.publish(ModelStore(tmp_path / "b"), 1)
    assert first.manifest.files == second.manifest.files
