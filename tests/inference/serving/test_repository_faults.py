"""What happens to a model repository while it is served from."""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.settings import Settings
from tests.inference.live_app import Running, running
from tests.models import QualityIssue, SavedModels, publish_plain

pytestmark = pytest.mark.anyio


def flip_a_bit(version: Path) -> None:
    file = version / "seed.txt"
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    file.write_bytes(content)


def lose_a_file(version: Path) -> None:
    (version / "seed.txt").unlink()


def add_a_file(version: Path) -> None:
    (version / "extra.bin").write_bytes(b"x")


def cut_a_file_off(version: Path) -> None:
    (version / "seed.txt").write_bytes(b"")


def reorder_the_labels(version: Path) -> None:
    change_manifest(version, lambda manifest: manifest["labels"].reverse())


def change_the_input(version: Path) -> None:
    change_manifest(version, lambda manifest: manifest["input"].update(width=299))


def come_from_the_future(version: Path) -> None:
    change_manifest(version, lambda manifest: manifest.update(schema_version=99))


def cut_the_manifest_off(version: Path) -> None:
    file = version / "manifest.json"
    file.write_bytes(file.read_bytes()[:200])


def swap_numbers(version: Path) -> None:
    shutil.rmtree(version)
    shutil.copytree(version.with_name("1"), version)


def change_manifest(version: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = version / "manifest.json"
    manifest = json.loads(file.read_text())
    change(manifest)
    file.write_text(json.dumps(manifest))


FAULTS: dict[Callable[[Path], None], str] = {
    flip_a_bit: "seed.txt",
    lose_a_file: "seed.txt' is missing",
    add_a_file: "extra.bin",
    cut_a_file_off: "seed.txt",
    reorder_the_labels: "label",
    change_the_input: "input",
    come_from_the_future: "schema",
    cut_the_manifest_off: "manifest",
    swap_numbers: "holds lentigo 1",
}


async def assert_serves(service: Running, version: str) -> None:
    answer = await service.predict()
    assert answer.status_code == 200
    assert answer.json()["model"]["version"] == version


async def index(service: Running) -> dict[str, tuple[str, str]]:
    entries = (await service.client.post("/v2/repository/index")).json()
    return {entry["version"]: (entry["state"], entry["reason"]) for entry in entries}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_a_damaged_version_is_refused_with_the_reason_and_the_old_one_serves(
    settings: Settings, store: ModelStore, fault: Callable[[Path], None]
) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        fault(publish_plain(store, 2).path)
        await service.look()
        state, reason = (await index(service))["2"]
        assert state == "UNAVAILABLE"
        assert FAULTS[fault] in reason
        await assert_serves(service, "1")
        publish_plain(store, 3)
        await service.look()
        await assert_serves(service, "3")


@pytest.mark.parametrize(("flaw", "reason"), [("nan", "not finite"), ("classes", "[1, 6]")])
async def test_a_network_with_impossible_answers_is_refused_by_every_engine(
    settings: Settings,
    store: ModelStore,
    saved_models: SavedModels,
    flaw: QualityIssue,
    reason: str,
) -> None:
    saved_models.publish(store, 1, litert=True)
    async with running(settings, load=None) as service:
        await asyncio.to_thread(saved_models.publish, store, 2, flaw, litert=True)
        await service.look()
        state, told = (await index(service))["2"]
        assert state == "UNAVAILABLE"
        assert reason in told
        await assert_serves(service, "1")


@pytest.mark.parametrize("litert", [True, False], ids=["litert", "savedmodel"])
async def test_predictions_continue_while_the_repository_is_away(
    settings: Settings, store: ModelStore, saved_models: SavedModels, litert: bool
) -> None:
    saved_models.publish(store, 1, litert=litert)
    elsewhere = store.root.with_name("unmounted")
    async with running(settings, load=None) as service:
        store.root.rename(elsewhere)
        await assert_serves(service, "1")
        await service.look()
        assert await index(service) == {"1": ("READY", "In use; its folder is no longer there.")}
        assert (await service.client.get("/v2/health/ready")).status_code == 200
        assert (await service.client.get("/v2/models/lentigo")).status_code == 200
        await assert_serves(service, "1")
        elsewhere.rename(store.root)
        await service.look()
        assert await index(service) == {"1": ("READY", "")}
        await asyncio.to_thread(saved_models.publish, store, 2, litert=litert)
        await service.look()
        await assert_serves(service, "2")
