"""Loading by request: pins, going back, and what is refused."""

import asyncio
from pathlib import Path

import pytest
from fastapi import Request

from lentigo_contract.errors import VersionNotFoundError
from lentigo_contract.repository.store import ModelStore, StoredVersion
from lentigo_engines.base import Engine, Images, Prediction
from lentigo_inference.api.dependencies import authorize
from lentigo_inference.errors import VersionRefusedError
from lentigo_inference.serving.loading import LoadOptions
from lentigo_inference.serving.model_manager import ModelManager
from lentigo_inference.serving.model_slot import ModelSlot
from lentigo_inference.settings import Settings
from lentigo_trainer.export.signing import read_model_signer, sign_version
from tests.inference.live_app import problem_of, running
from tests.keys import make_pair
from tests.models import PlainEngine, load_plain, publish_plain

LOAD = "/v2/repository/models/lentigo/load"
UNLOAD = "/v2/repository/models/lentigo/unload"


def let_in(request: Request) -> None:
    """Ask for no key; keys have tests of their own."""
    request.state.identity = None


def manager_for(store: ModelStore, pinned: int | None = None) -> tuple[ModelManager, ModelSlot]:
    slot = ModelSlot(lambda model: model.engine.close())
    return ModelManager(store, slot, load_plain, pinned=pinned), slot


def in_use(slot: ModelSlot) -> int | None:
    return slot.current.version if slot.current else None


def test_going_back_to_an_older_version_lasts_until_the_newest_is_asked_for(
    store: ModelStore,
) -> None:
    for seed in (1, 2):
        publish_plain(store, seed)
    model_manager, slot = manager_for(store)
    model_manager.check()
    assert model_manager.load(1) == 1
    publish_plain(store, 3)
    model_manager.check()
    assert in_use(slot) == 1
    assert model_manager.load() == 3
    publish_plain(store, 4)
    model_manager.check()
    assert in_use(slot) == 4


def test_a_pinned_version_is_the_only_one_taken(store: ModelStore) -> None:
    publish_plain(store, 1)
    model_manager, slot = manager_for(store, pinned=2)
    model_manager.check()
    assert in_use(slot) is None
    with pytest.raises(Exception, match="Version 2 is pinned"):
        slot.require()
    for seed in (2, 3):
        publish_plain(store, seed)
    model_manager.check()
    assert in_use(slot) == 2
    assert model_manager.load(3) == 3
    assert model_manager.load() == 2


def test_a_version_that_cannot_be_loaded_leaves_version_and_pin(store: ModelStore) -> None:
    publish_plain(store, 1)
    (publish_plain(store, 2).path / "seed.txt").write_text("0")
    model_manager, slot = manager_for(store)
    model_manager.check()
    with pytest.raises(VersionRefusedError, match=r"Version 2 could not be loaded: .*seed"):
        model_manager.load(2)
    with pytest.raises(VersionNotFoundError, match="no version 9"):
        model_manager.load(9)
    assert in_use(slot) == 1
    publish_plain(store, 3)
    model_manager.check()
    assert in_use(slot) == 3


def test_loading_the_version_in_use_reads_it_again(store: ModelStore) -> None:
    publish_plain(store, 1)
    model_manager, slot = manager_for(store)
    model_manager.check()
    before = slot.current
    assert model_manager.load() == 1
    assert slot.current is not before
    assert before is not None
    assert isinstance(before.engine, PlainEngine)
    assert before.engine.closed


def test_a_new_engine_is_warmed_up_with_every_batch_size(store: ModelStore) -> None:
    sizes: list[int] = []

    class Noting(PlainEngine):
        def predict(self, images: Images) -> Prediction:
            sizes.append(len(images))
            return super().predict(images)

    def load(_stored: StoredVersion) -> Engine:
        return Noting(1)

    publish_plain(store, 1)
    ModelManager(
        store, ModelSlot(lambda _model: None), load, options=LoadOptions(batch_sizes=(1, 2, 4, 8))
    ).check()
    assert sizes == [1, 2, 4, 8]


@pytest.mark.anyio
async def test_a_client_loads_goes_back_and_is_refused_an_unload(
    settings: Settings, store: ModelStore
) -> None:
    for seed in (1, 2):
        publish_plain(store, seed)
    async with running(settings) as service:
        assert (await service.client.post(LOAD)).status_code == 403
        service.app.dependency_overrides[authorize] = let_in
        back = await service.client.post(LOAD, json={"parameters": {"version": "1"}})
        assert (back.status_code, back.json()) == (200, {"name": "lentigo", "version": "1"})
        assert (await service.predict()).json()["model"]["version"] == "1"
        assert (await service.client.post(LOAD)).json()["version"] == "2"
        refused = await service.client.post(UNLOAD, json={"parameters": {}})
        assert refused.status_code == 409
        assert "Version 2" in problem_of(refused)["detail"]
        cases = {"9": 404, "1234567890": 404, "9" * 18: 404, "9" * 19: 400, "x": 400, "01": 400}
        for body, status in (({"version": name}, status) for name, status in cases.items()):
            response = await service.client.post(LOAD, json={"parameters": body})
            assert response.status_code == status
            assert problem_of(response)
        other = await service.client.post("/v2/repository/models/other/load")
        assert other.status_code == 404


@pytest.mark.anyio
async def test_a_client_loads_a_forced_version_only_if_it_says_so(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        service.app.dependency_overrides[authorize] = let_in
        publish_plain(store, 2, forced="It was tried.")
        asked = {"version": "2"}
        refused = await service.client.post(LOAD, json={"parameters": asked})
        assert refused.status_code == 422
        assert "It was tried." in problem_of(refused)["detail"]
        assert (await service.predict()).json()["model"]["version"] == "1"
        told = await service.client.post(LOAD, json={"parameters": {**asked, "force": True}})
        assert (told.status_code, told.json()["version"]) == (200, "2")


@pytest.mark.anyio
async def test_with_a_key_only_signed_versions_are_used_and_v1_models_names_the_key(
    settings: Settings, store: ModelStore, tmp_path: Path
) -> None:
    pair = make_pair(tmp_path / "keys")
    guarded = settings.model_copy(update={"model_key": pair.public})
    signer = read_model_signer(pair.private)
    unsigned = publish_plain(store, 1)
    async with running(guarded) as service:
        before = await service.client.get("/v2/health/ready")
        await asyncio.to_thread(sign_version, unsigned.path, signer)
        await service.look()
        (model,) = (await service.client.get("/v1/models")).json()["models"]
        publish_plain(store, 2)
        await service.look()
        states = (await service.client.post("/v2/repository/index", json={})).json()
    assert before.status_code == 503
    assert model["version"] == "1"
    assert model["signature"] == {"state": "verified", "key": signer.fingerprint}
    assert [each["state"] for each in states] == ["READY", "UNAVAILABLE"]
    assert "is not signed" in states[1]["reason"]
