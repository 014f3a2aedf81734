"""Requests and reloads at the same time."""

import asyncio
import threading
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

from lentigo_contract.imaging.read import ImageLimits, OpenedImage, open_image, read_image
from lentigo_contract.labels import CODES
from lentigo_contract.repository.store import ModelStore, StoredVersion
from lentigo_engines.base import Engine, Images, Prediction
from lentigo_inference.serving import decoding
from lentigo_inference.serving.batcher import BatchLimits
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes, lesion_image
from tests.inference.live_app import running
from tests.models import PlainEngine, SavedModels, expected, load_plain, publish_plain

pytestmark = pytest.mark.anyio

DEADLINE_S = 60


class Gate:
    """Holds whoever passes until it is opened; opened for good when the test ends."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def hold(self) -> None:
        self.reached.set()
        assert self.opened.wait(DEADLINE_S)

    async def until_reached(self) -> None:
        assert await asyncio.to_thread(self.reached.wait, DEADLINE_S)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


class GatedEngine(PlainEngine):
    """Lets its warm-up pass and holds every request."""

    def __init__(self, seed: int, gate: Gate) -> None:
        super().__init__(seed)
        self.gate = gate
        self.calls = 0

    def predict(self, images: Images) -> Prediction:
        self.calls += 1
        if self.calls > len(BatchLimits().sizes()):
            self.gate.hold()
        return super().predict(images)


async def test_a_request_keeps_the_model_it_began_with_and_the_old_one_is_then_released(
    settings: Settings, store: ModelStore, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_plain(store, 1)
    first = PlainEngine(1)

    def load(stored: StoredVersion) -> Engine:
        return first if stored.version == 1 else load_plain(stored)

    def held_open(data: bytes, limits: ImageLimits) -> OpenedImage:
        gate.hold()
        return open_image(data, limits)

    monkeypatch.setattr(decoding, "open_image", held_open)
    async with running(settings, load) as service:
        held = asyncio.create_task(service.predict())
        await gate.until_reached()
        publish_plain(store, 2)
        await service.look()
        ready = await service.client.get("/v2/models/lentigo/versions/2/ready")
        assert ready.status_code == 200
        assert not first.closed
        gate.opened.set()
        answer = (await held).json()
        assert answer["model"]["version"] == "1"
        assert (await service.predict()).json()["model"]["version"] == "2"
        assert first.closed


async def test_nothing_of_an_old_model_stays(settings: Settings, store: ModelStore) -> None:
    engines: list[weakref.ref[Engine]] = []

    def load(stored: StoredVersion) -> Engine:
        engine = load_plain(stored)
        engines.append(weakref.ref(engine))
        return engine

    publish_plain(store, 1)
    async with running(settings, load) as service:
        for seed in (2, 3):
            assert (await service.predict()).status_code == 200
            publish_plain(store, seed)
            await service.look()
        assert (await service.predict()).status_code == 200
        assert [engine() is None for engine in engines] == [True, True, False]


async def test_the_loop_answers_while_the_network_runs(
    settings: Settings, store: ModelStore, gate: Gate
) -> None:
    publish_plain(store, 1)
    async with running(settings, lambda _stored: GatedEngine(1, gate)) as service:
        held = asyncio.create_task(service.predict())
        await gate.until_reached()
        assert (await service.client.get("/v2/health/ready")).status_code == 200
        assert not held.done()
        gate.opened.set()
        assert (await held).status_code == 200


async def test_the_loop_answers_while_an_image_is_decoded(
    settings: Settings, store: ModelStore, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_plain(store, 1)

    def held_open(data: bytes, limits: ImageLimits) -> OpenedImage:
        gate.hold()
        return open_image(data, limits)

    monkeypatch.setattr(decoding, "open_image", held_open)
    async with running(settings) as service:
        held = asyncio.create_task(service.predict())
        await gate.until_reached()
        assert (await service.client.get("/v2/health/live")).status_code == 200
        gate.opened.set()
        assert (await held).status_code == 200


async def test_the_loop_answers_while_a_version_is_loaded(
    settings: Settings, store: ModelStore, gate: Gate
) -> None:
    def load(stored: StoredVersion) -> Engine:
        if stored.version == 2:
            gate.hold()
        return load_plain(stored)

    publish_plain(store, 1)
    async with running(settings, load) as service:
        publish_plain(store, 2)
        look = asyncio.create_task(service.look())
        await gate.until_reached()
        answer = await service.predict()
        assert answer.json()["model"]["version"] == "1"
        states = {
            entry["version"]: entry["state"]
            for entry in (await service.client.post("/v2/repository/index")).json()
        }
        assert states == {"1": "READY", "2": "LOADING"}
        gate.opened.set()
        await look
        assert (await service.predict()).json()["model"]["version"] == "2"


async def test_no_memory_for_an_image_is_busy(
    settings: Settings, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_plain(store, 1)

    def exhausted(*_arguments: object) -> object:
        raise MemoryError

    async with running(settings) as service:
        with monkeypatch.context() as patch:
            patch.setattr(decoding, "open_image", exhausted)
            refused = await service.predict()
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        assert (await service.predict()).status_code == 200


async def test_versions_change_under_load_without_a_failed_or_mixed_up_request(
    settings: Settings, store: ModelStore, saved_models: SavedModels
) -> None:
    """Every answer is that of the named version for the image that was sent."""
    images = [jpeg_bytes(lesion_image(seed, code)) for seed, code in enumerate(CODES)]
    pixels = np.stack([read_image(data).pixels for data in images])
    seeds = {"1": 11, "2": 12, "3": 13}
    truth = {version: expected(pixels, seed).probabilities for version, seed in seeds.items()}
    saved_models.publish(store, seeds["1"])
    seen: list[str] = []
    answered = asyncio.Condition()
    stop = asyncio.Event()

    async with running(settings, load=None) as service:

        async def client(number: int) -> None:
            turn = number
            while not stop.is_set():
                which = turn % len(images)
                turn += 1
                response = await service.predict(images[which])
                assert response.status_code == 200
                answer = response.json()
                version = answer["model"]["version"]
                served = {entry["code"]: entry["probability"] for entry in answer["probabilities"]}
                assert [served[code] for code in CODES] == pytest.approx(
                    truth[version][which], abs=1e-5
                )
                async with answered:
                    seen.append(version)
                    answered.notify_all()

        async def answers_of(version: str) -> None:
            async with answered:
                await answered.wait_for(lambda: seen.count(version) >= 8)

        async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(client(number))
            await answers_of("1")
            for version in ("2", "3"):
                await asyncio.to_thread(saved_models.publish, store, seeds[version])
                await service.look()
                await answers_of(version)
            await asyncio.to_thread(saved_models.publish, store, 14, "nan")
            await service.look()
            stop.set()
        assert (await service.predict()).json()["model"]["version"] == "3"


async def test_a_new_engine_is_put_to_the_proof_between_batches_and_never_beside_one(
    settings: Settings, store: ModelStore, gate: Gate
) -> None:
    """So running requests keep their latency: each waits for one run of the new engine at most."""
    publish_plain(store, 1)
    old = GatedEngine(1, gate)
    runs: list[int] = []
    begun = threading.Event()

    class Noting(PlainEngine):
        def predict(self, images: Images) -> Prediction:
            assert gate.opened.is_set(), "it ran beside the engine in use"
            runs.append(len(images))
            return super().predict(images)

    def load(stored: StoredVersion) -> Engine:
        if stored.version == 1:
            return old
        begun.set()
        return Noting(2)

    async with running(settings, load) as service:
        held = asyncio.create_task(service.predict())
        await gate.until_reached()
        publish_plain(store, 2)
        look = asyncio.create_task(service.look())
        assert await asyncio.to_thread(begun.wait, DEADLINE_S)
        gate.opened.set()
        assert (await held).json()["model"]["version"] == "1"
        await look
        assert runs == list(BatchLimits().sizes())
        assert (await service.predict()).json()["model"]["version"] == "2"
