import json
import re
import shutil
from pathlib import Path

import pytest
import structlog

from lentigo_contract.errors import EngineError
from lentigo_contract.repository.store import ModelStore, StoredVersion
from lentigo_engines.base import Engine
from lentigo_inference.errors import NotReadyError, VersionRefusedError
from lentigo_inference.serving.model_manager import ModelManager, VersionStatus
from lentigo_inference.serving.model_slot import LoadedModel, ModelSlot
from tests.fakes import made_golden
from tests.models import load_plain, publish_plain


class Loads:
    """Loads plain versions and keeps count."""

    def __init__(self) -> None:
        self.versions: list[int] = []
        self.failure: Exception | None = None

    def __call__(self, stored: StoredVersion) -> Engine:
        self.versions.append(stored.version)
        if self.failure is not None:
            raise self.failure
        return load_plain(stored)


@pytest.fixture
def loads() -> Loads:
    return Loads()


@pytest.fixture
def retired() -> list[LoadedModel]:
    return []


@pytest.fixture
def slot(retired: list[LoadedModel]) -> ModelSlot:
    return ModelSlot(retired.append)


@pytest.fixture
def model_manager(store: ModelStore, slot: ModelSlot, loads: Loads) -> ModelManager:
    return ModelManager(store, slot, loads)


def in_use(slot: ModelSlot) -> int | None:
    return slot.current.version if slot.current else None


def damage(stored: StoredVersion) -> Path:
    file = stored.path / "seed.txt"
    file.write_text("0")
    return file


def test_the_newest_version_is_taken(
    model_manager: ModelManager, slot: ModelSlot, store: ModelStore, loads: Loads
) -> None:
    publish_plain(store, 1)
    publish_plain(store, 2)
    model_manager.check()
    assert in_use(slot) == 2
    assert loads.versions == [2]


def test_a_newer_version_replaces_the_one_in_use(
    model_manager: ModelManager, slot: ModelSlot, store: ModelStore, retired: list[LoadedModel]
) -> None:
    publish_plain(store, 1)
    model_manager.check()
    publish_plain(store, 2)
    model_manager.check()
    assert in_use(slot) == 2
    assert [model.version for model in retired] == [1]


def test_nothing_is_loaded_twice(
    model_manager: ModelManager, store: ModelStore, loads: Loads
) -> None:
    publish_plain(store, 1)
    for _ in range(3):
        model_manager.check()
    assert loads.versions == [1]


def test_a_broken_version_leaves_the_one_in_use(
    model_manager: ModelManager, slot: ModelSlot, store: ModelStore
) -> None:
    publish_plain(store, 1)
    model_manager.check()
    damage(publish_plain(store, 2))
    model_manager.check()
    assert in_use(slot) == 1
    states = {state.version: state for state in model_manager.states()}
    assert states[1].status is VersionStatus.READY
    assert states[2].status is VersionStatus.UNAVAILABLE
    assert "seed.txt" in states[2].reason


def test_at_the_start_the_newest_sound_version_is_taken(
    model_manager: ModelManager, slot: ModelSlot, store: ModelStore
) -> None:
    publish_plain(store, 1)
    publish_plain(store, 2)
    damage(publish_plain(store, 3))
    model_manager.check()
    assert in_use(slot) == 2


def test_a_broken_version_is_logged_once_and_not_tried_again_until_its_folder_changes(
    model_manager: ModelManager, slot: ModelSlot, store: ModelStore
) -> None:
    file = damage(publish_plain(store, 7))
    with structlog.testing.capture_logs() as logs:
        for _ in range(4):
            model_manager.check()
        assert [entry["event"] for entry in logs] == ["model refused"]
        file.write_text("7")
        model_manager.check()
    assert [entry["event"] for entry in logs] == ["model refused", "model in use"]
    assert in_use(slot) == 1
    assert model_manager.states()[0].reason == ""


def test_a_version_that_was_forced_is_used_and_says_so(
    model_manager: ModelManager, slot: ModelSlot, store: ModelStore
) -> None:
    publish_plain(store, 1)
    publish_plain(store, 2, forced="It was trained with --limit 300.")
    with structlog.testing.capture_logs() as logs:
        model_manager.check()
    assert in_use(slot) == 2
    (warned,) = [entry for entry in logs if entry["log_level"] == "warning"]
    assert warned["event"] == "forced model in use"
    assert warned["version"] == 2
    assert warned["reason"] == "It was trained with --limit 300."
    reasons = {state.version: state.reason for state in model_manager.states()}
    assert reasons == {
        1: "Version 2 is in use.",
        2: "In use, although its publication was forced: It was trained with --limit 300.",
    }


@pytest.mark.parametrize("kind", [EngineError, OSError])
def test_a_version_that_the_runtime_refuses_is_not_tried_again(
    model_manager: ModelManager,
    slot: ModelSlot,
    store: ModelStore,
    loads: Loads,
    kind: type[Exception],
) -> None:
    publish_plain(store, 1)
    loads.failure = kind("The graph has an operation we do not know.")
    model_manager.check()
    model_manager.check()
    assert loads.versions == [1]
    assert in_use(slot) is None
    assert "operation we do not know" in model_manager.states()[0].reason


def test_an_empty_slot_says_why_the_newest_version_was_refused(
    model_manager: ModelManager, slot: ModelSlot, store: ModelStore
) -> None:
    damage(publish_plain(store, 1))
    model_manager.check()
    with pytest.raises(Exception, match=r"Version 1 could not be loaded: .*seed\.txt"):
        slot.require()


def test_an_engine_that_fails_its_warm_up_is_closed(store: ModelStore, slot: ModelSlot) -> None:
    stored = publish_plain(store, 1, activation_map={"height": 3, "width": 3})
    engine = load_plain(stored)
    model_manager = ModelManager(store, slot, lambda _stored: engine)
    model_manager.check()
    assert in_use(slot) is None
    assert engine.closed  # type: ignore[attr-defined]


def test_a_version_that_is_removed_stays_in_use(
    model_manager: ModelManager, slot: ModelSlot, store: ModelStore
) -> None:
    publish_plain(store, 1)
    model_manager.check()
    shutil.rmtree(store.root)
    model_manager.check()
    assert in_use(slot) == 1
    (state,) = model_manager.states()
    assert (state.status, state.version) == (VersionStatus.READY, 1)
    assert "no longer there" in state.reason


def test_a_refused_version_that_is_removed_is_forgotten(
    model_manager: ModelManager, store: ModelStore
) -> None:
    shutil.rmtree(damage(publish_plain(store, 1)).parent)
    model_manager.check()
    assert model_manager.states() == []


def test_an_unreadable_repository_is_logged_once_and_explains_the_empty_slot(
    model_manager: ModelManager, slot: ModelSlot, store: ModelStore
) -> None:
    store.root.mkdir()
    store.folder.write_text("a file where a folder should be")
    with structlog.testing.capture_logs() as logs:
        model_manager.check()
        model_manager.check()
        assert [entry["event"] for entry in logs] == ["model repository unreadable"]
        with pytest.raises(Exception, match="cannot be listed"):
            slot.require()
        store.folder.unlink()
        publish_plain(store, 1)
        model_manager.check()
    assert in_use(slot) == 1


def test_an_incomplete_version_is_ignored(
    model_manager: ModelManager, slot: ModelSlot, store: ModelStore, loads: Loads
) -> None:
    (store.folder / "1").mkdir(parents=True)
    (store.folder / ".staging-x").mkdir()
    model_manager.check()
    assert loads.versions == []
    assert model_manager.states() == []
    assert in_use(slot) is None


@pytest.mark.parametrize(
    "failure",
    [MemoryError(), RecursionError("maximum depth"), ValueError("odd"), KeyError("name")],
    ids=repr,
)
def test_whatever_goes_wrong_concerns_that_version_alone(
    model_manager: ModelManager,
    slot: ModelSlot,
    store: ModelStore,
    loads: Loads,
    failure: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publish_plain(store, 1)
    publish_plain(store, 2)
    opened = ModelStore.open

    def open_all_but_the_newest(self: ModelStore, version: int) -> StoredVersion:
        if version == 2:
            raise failure
        return opened(self, version)

    monkeypatch.setattr(ModelStore, "open", open_all_but_the_newest)

    model_manager.check()
    model_manager.check()

    assert in_use(slot) == 1
    assert loads.versions == [1]
    refused = model_manager.states()[-1]
    assert refused.status is VersionStatus.UNAVAILABLE
    assert type(failure).__name__ in refused.reason


def test_a_version_with_endless_golden_answers_gives_way_to_an_older_sound_one(
    model_manager: ModelManager, slot: ModelSlot, store: ModelStore
) -> None:
    publish_plain(store, 1)
    stored = publish_plain(store, 2, golden=made_golden())
    manifest = json.loads((stored.path / "manifest.json").read_text())
    row = manifest["golden"]["answers"]["litert"]["probabilities"][0]
    manifest["golden"]["answers"]["litert"]["probabilities"] = [row] * 10_000
    (stored.path / "manifest.json").write_text(json.dumps(manifest))

    model_manager.check()

    assert in_use(slot) == 1
    assert "golden" in model_manager.states()[-1].reason


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"forced": "It is worse than lentigo 1."}, "It is worse than lentigo 1."),
        ({"limit": 300}, "--limit 300"),
    ],
)
def test_a_version_that_was_objected_to_is_loaded_by_its_number_only_if_told(
    model_manager: ModelManager,
    slot: ModelSlot,
    store: ModelStore,
    loads: Loads,
    changes: dict[str, object],
    told: str,
) -> None:
    publish_plain(store, 1)
    model_manager.check()
    publish_plain(store, 2, **changes)
    with pytest.raises(VersionRefusedError, match=re.escape(told)):
        model_manager.load(2)
    assert (in_use(slot), loads.versions) == (1, [1])
    assert model_manager.load(2, force=True) == 2


def test_a_damaged_version_is_refused_for_that_and_not_for_an_objection(
    model_manager: ModelManager, store: ModelStore
) -> None:
    publish_plain(store, 1)
    (store.folder / "1" / "manifest.json").write_text("no JSON")
    with pytest.raises(VersionRefusedError, match="not JSON"):
        model_manager.load(1)


def test_a_version_on_trial_is_used_only_when_it_is_named(
    slot: ModelSlot, store: ModelStore, loads: Loads
) -> None:
    on_trial = ModelManager(store, slot, loads, shadow=2)
    for seed in (1, 2):
        publish_plain(store, seed)
    on_trial.check()
    assert in_use(slot) == 1
    (state,) = [each for each in on_trial.states() if each.version == 2]
    assert "LENTIGO_SHADOW_VERSION" in state.reason
    assert on_trial.load() == 1
    assert on_trial.load(2) == 2
    on_trial.check()
    assert in_use(slot) == 2
    publish_plain(store, 3)
    assert on_trial.load() == 3


def test_a_version_on_trial_alone_answers_nothing(
    slot: ModelSlot, store: ModelStore, loads: Loads
) -> None:
    on_trial = ModelManager(store, slot, loads, shadow=1)
    publish_plain(store, 1)
    on_trial.check()
    with pytest.raises(NotReadyError, match="LENTIGO_SHADOW_VERSION"):
        slot.require()
    with pytest.raises(VersionRefusedError, match="LENTIGO_SHADOW_VERSION"):
        on_trial.load()
