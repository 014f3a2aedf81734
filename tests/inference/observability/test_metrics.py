import asyncio
import random
import string
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from prometheus_client import REGISTRY, CollectorRegistry

from lentigo_contract.errors import EngineError
from lentigo_contract.labels import CODES
from lentigo_contract.repository.store import ModelStore, StoredVersion
from lentigo_engines.base import Engine, Images, Prediction
from lentigo_inference.app import create_app
from lentigo_inference.problem_types import PROBLEMS
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes, lesion_image
from tests.inference.live_app import PREDICTIONS, Running, running
from tests.inference.observability.scraping import scrape
from tests.models import PlainEngine, load_plain, publish_plain

pytestmark = pytest.mark.anyio

DEADLINE_S = 60


async def infer(service: Running, images: int) -> httpx.Response:
    tensor = {
        "name": "image",
        "datatype": "UINT8",
        "shape": [images, 224, 224, 3],
        "data": [0] * (images * 224 * 224 * 3),
    }
    return await service.client.post("/v2/models/lentigo/infer", json={"inputs": [tensor]})


async def test_the_content_type_is_that_of_prometheus(settings: Settings) -> None:
    async with running(settings) as service:
        response = await service.client.get("/metrics", headers={"Accept": "text/html;version=x,"})
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_names_follow_the_conventions(settings: Settings) -> None:
    registry = CollectorRegistry()
    create_app(settings, registry=registry)
    for family in registry.collect():
        assert family.name.startswith(("lentigo_", "process_"))
        assert family.documentation
        if family.type == "counter":
            assert {sample.name for sample in family.samples} <= {
                f"{family.name}_total",
                f"{family.name}_created",
            }


async def test_two_services_in_one_process_share_no_metrics(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    async with running(settings) as first, running(settings) as second:
        await first.predict()
        ours = await scrape(second.client)
        assert ours.value("lentigo_predictions_total") == 0
    assert not [family for family in REGISTRY.collect() if family.name.startswith("lentigo_")]


async def test_a_prediction_is_counted_at_every_step(settings: Settings, store: ModelStore) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        code = (await service.predict()).json()["diagnosis"]["code"]
        seen = await scrape(service.client)
    asked = {"method": "POST", "route": PREDICTIONS}
    assert seen.value("lentigo_http_requests_total", **asked, status="200") == 1
    assert seen.value("lentigo_http_request_duration_seconds_count", **asked) == 1
    assert seen.value("lentigo_http_request_duration_seconds_sum", **asked) > 0
    for step in ("decode_wait", "decode", "queue_wait", "inference"):
        assert seen.value(f"lentigo_{step}_seconds_count") == 1, step
    assert seen.value("lentigo_batch_images_sum") == 1
    assert {each.labels["diagnosis"]: each.value for each in seen.found("lentigo_predictions_total")
            } == {each: float(each == code) for each in CODES}  # fmt: skip


async def test_every_image_of_a_request_for_several_is_a_prediction(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    parts = [("image", jpeg_bytes(lesion_image(seed, "mel"))) for seed in range(3)]
    async with running(settings) as service:
        assert (
            await service.client.post(f"{PREDICTIONS}:batch", files=[*parts, ("image", b"x")])
        ).status_code == 200
        assert (await infer(service, 2)).status_code == 200
        seen = await scrape(service.client)
    assert seen.value("lentigo_predictions_total") == 5
    assert seen.value("lentigo_decode_seconds_count") == 4
    assert seen.value("lentigo_batch_images_sum") == 5
    assert seen.value("lentigo_queue_wait_seconds_count") == 5
    assert seen.value("lentigo_rejections_total", reason="unsupported-image") == 1


async def test_unknown_paths_and_methods_share_one_label_each(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    dice = random.Random(4)
    async with running(settings) as service:
        for _ in range(100):
            word = "".join(dice.choices(string.ascii_letters, k=8))
            path = dice.choice(("/", "/v1/", "/v2/models/", "/page/", f"{PREDICTIONS}/")) + word
            await service.client.request(dice.choice(("GET", "POST", word.upper())), path)
        await service.client.request("BREW", PREDICTIONS)
        seen = await scrape(service.client)
    metric = "lentigo_http_requests_total"
    assert seen.value(metric) == 101
    assert seen.labels(metric, "route") <= {
        "unmatched",
        "/v2/models/{model}",
        "/page/{name:path}",
        PREDICTIONS,
    }
    assert seen.labels(metric, "method") <= {"GET", "POST", "_OTHER"}
    assert seen.value(metric, method="_OTHER") > 20
    reasons = {kind.slug for kind in PROBLEMS.values()} | {"internal", "invalid-parameter"}
    beyond = seen.labels("lentigo_rejections_total", "reason") - reasons
    assert beyond == {"not-found", "method-not-allowed"}


@pytest.mark.parametrize(
    ("send", "status", "reason"),
    [
        (lambda s: s.predict(b"no image"), 415, "unsupported-image"),
        (lambda s: s.predict(jpeg_bytes()[:2000]), 422, "undecodable-image"),
        (lambda s: s.predict(b""), 400, "empty-image"),
        (lambda s: s.predict(bytes(4096)), 413, "image-too-large"),
        (lambda s: s.predict(explain="perhaps"), 400, "invalid-parameter"),
        (lambda s: s.client.get("/v2/models/other"), 404, "unknown-model"),
        (lambda s: s.client.get("/nothing"), 404, "not-found"),
        (lambda s: s.client.get(PREDICTIONS), 405, "method-not-allowed"),
        (lambda s: s.client.post("/v2/repository/models/lentigo/load"), 403, "forbidden"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_rejection_is_counted_by_its_reason(
    settings: Settings,
    store: ModelStore,
    send: Callable[[Running], "asyncio.Future[httpx.Response]"],
    status: int,
    reason: str,
) -> None:
    publish_plain(store, 1)
    small = 4000 if reason == "image-too-large" else settings.max_upload_bytes
    async with running(settings.model_copy(update={"max_upload_bytes": small})) as service:
        assert (await send(service)).status_code == status
        seen = await scrape(service.client)
    counted = {each.labels["reason"]: each.value for each in seen.found("lentigo_rejections_total")}
    assert {name: count for name, count in counted.items() if count} == {reason: 1}
    assert seen.value("lentigo_http_requests_total", status=str(status)) == 1
    assert seen.value("lentigo_predictions_total") == 0


async def test_without_a_model_it_is_not_ready_and_says_so(settings: Settings) -> None:
    async with running(settings) as service:
        assert (await service.predict()).status_code == 503
        seen = await scrape(service.client)
    assert seen.value("lentigo_rejections_total", reason="not-ready") == 1
    assert seen.value("lentigo_ready") == 0
    assert seen.value("lentigo_model_version") == 0
    assert seen.found("lentigo_model_info") == []


async def test_a_stopping_service_is_not_ready_and_still_reports_metrics(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        service.state.shutdown.begin()
        assert (await service.predict()).status_code == 503
        seen = await scrape(service.client)
    assert seen.value("lentigo_ready") == 0
    assert seen.value("lentigo_rejections_total", reason="stopping") == 1


async def test_an_engine_that_fails_is_a_500_with_its_reason(
    settings: Settings, store: ModelStore
) -> None:
    class Failing(PlainEngine):
        broken = False

        def predict(self, images: Images) -> Prediction:
            if self.broken:
                raise EngineError("The runtime failed.")
            return super().predict(images)

    publish_plain(store, 1)
    engine = Failing(1)
    async with running(settings, lambda _stored: engine) as service:
        engine.broken = True
        assert (await service.predict()).status_code == 500
        seen = await scrape(service.client)
    assert seen.value("lentigo_rejections_total", reason="engine-failed") == 1
    assert seen.value("lentigo_http_requests_total", status="500") == 1


async def test_an_unexpected_error_is_counted(
    settings: Settings, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_plain(store, 1)

    def broken(*_arguments: object) -> None:
        raise ZeroDivisionError

    async with running(settings) as service:
        with monkeypatch.context() as patch:
            patch.setattr("lentigo_inference.api.predictions.routes.prediction_response", broken)
            assert (await service.predict()).status_code == 500
        seen = await scrape(service.client)
    assert seen.value("lentigo_rejections_total", reason="internal") == 1
    assert seen.value("lentigo_http_requests_total", route=PREDICTIONS, status="500") == 1


async def test_loads_are_counted_and_the_version_in_use_is_reported(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        first = await scrape(service.client)
        (publish_plain(store, 2).path / "seed.txt").write_text("0")
        await service.look()
        refused = await scrape(service.client)
        publish_plain(store, 3)
        await service.look()
        third = await scrape(service.client)
    loads = "lentigo_model_loads_total"
    assert (first.value(loads, outcome="success"), first.value(loads, outcome="failure")) == (1, 0)
    assert first.value("lentigo_model_loaded_timestamp_seconds") > 1.7e9
    assert first.value("lentigo_model_versions_refused") == 0
    assert refused.value(loads, outcome="failure") == 1
    assert refused.value("lentigo_model_versions_refused") == 1
    assert refused.value("lentigo_model_version") == 1
    assert refused.value("lentigo_ready") == 1
    assert third.value(loads, outcome="success") == 2
    assert third.value("lentigo_model_load_seconds_count") == 3
    (info,) = third.found("lentigo_model_info")
    assert info.labels == {
        "name": "lentigo",
        "version": "3",
        "architecture": "mobilenet",
        "engine": "plain",
    }


async def test_a_load_with_an_unexpected_error_counts_as_a_failure(
    settings: Settings, store: ModelStore
) -> None:
    def load(stored: StoredVersion) -> Engine:
        if stored.version == 2:
            raise MemoryError
        return load_plain(stored)

    publish_plain(store, 1)
    async with running(settings, load) as service:
        publish_plain(store, 2)
        await service.look()
        seen = await scrape(service.client)
    assert seen.value("lentigo_model_loads_total", outcome="failure") == 1


async def test_an_unreadable_repository_shows_in_the_metrics(
    settings: Settings, store: ModelStore
) -> None:
    async with running(settings) as service:
        assert (await scrape(service.client)).value("lentigo_model_repository_readable") == 1
        await asyncio.to_thread(_make_unreadable, store.folder)
        await service.look()
        assert (await scrape(service.client)).value("lentigo_model_repository_readable") == 0


def _make_unreadable(folder: Path) -> None:
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("a file where a folder should be")


async def test_the_metrics_report_load_and_answer_under_full_load(
    settings: Settings, store: ModelStore
) -> None:
    held, reached = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    class Held(PlainEngine):
        warm = False

        def predict(self, images: Images) -> Prediction:
            if self.warm:
                loop.call_soon_threadsafe(reached.set)
                asyncio.run_coroutine_threadsafe(held.wait(), loop).result(DEADLINE_S)
            return super().predict(images)

    publish_plain(store, 1)
    engine = Held(1)
    async with running(settings, lambda _stored: engine) as service:
        engine.warm = True
        asked = [asyncio.create_task(service.predict())]
        async with asyncio.timeout(DEADLINE_S):
            await reached.wait()
            asked += [asyncio.create_task(service.predict()) for _ in range(2)]
            while (full := await scrape(service.client)).value("lentigo_queue_images") < 2:
                assert full.value("lentigo_batch_images_count") == 0
            held.set()
            assert [answer.status_code for answer in await asyncio.gather(*asked)] == [200] * 3
        empty = await scrape(service.client)
    assert full.value("lentigo_pending_predictions") == 3
    assert full.value("lentigo_pending_predictions_limit") == settings.max_pending
    assert full.value("lentigo_queue_images_limit") == settings.queue_size
    assert empty.value("lentigo_pending_predictions") == 0
    assert empty.value("lentigo_queue_images") == 0


async def test_scrapes_under_load_lose_no_request_and_no_count(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        done = asyncio.Event()

        async def scrapes() -> int:
            count = 0
            before = 0.0
            while not done.is_set():
                seen = (await scrape(service.client)).value("lentigo_predictions_total")
                assert seen >= before
                before, count = seen, count + 1
            return count

        scraping = asyncio.create_task(scrapes())
        answers = await asyncio.gather(*(service.predict() for _ in range(24)))
        done.set()
        assert await scraping >= 1
        seen = await scrape(service.client)
    assert [answer.status_code for answer in answers] == [200] * 24
    assert seen.value("lentigo_predictions_total") == 24
    assert seen.value("lentigo_batch_images_sum") == 24


async def test_memory_and_cpu_time_of_the_process_are_reported(settings: Settings) -> None:
    async with running(settings) as service:
        seen = await scrape(service.client)
    assert seen.value("process_resident_memory_bytes") > 1e6
    assert seen.value("process_cpu_seconds_total") > 0
