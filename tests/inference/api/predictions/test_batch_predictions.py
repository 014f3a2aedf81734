import httpx
import pytest

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes, lesion_image
from tests.inference.live_app import Running, problem_of, running
from tests.models import publish_plain

pytestmark = pytest.mark.anyio

BATCH = "/v1/predictions:batch"
GOOD = [jpeg_bytes(lesion_image(seed, code)) for seed, code in enumerate(("nv", "mel", "df"))]


async def send(service: Running, *images: bytes) -> httpx.Response:
    return await service.client.post(BATCH, files=[("image", image) for image in images])


async def test_results_come_in_order_and_an_error_stands_where_one_failed(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        alone = [(await service.predict(image)).json() for image in GOOD]
        response = await send(service, GOOD[0], b"no image", GOOD[1], b"", GOOD[2][:900])
        assert response.status_code == 200
        results = response.json()["results"]
        for place, wanted in ((0, alone[0]), (2, alone[1])):
            assert results[place]["image"] == wanted["image"]
            assert results[place]["probabilities"] == wanted["probabilities"]
        assert [results[place]["type"].split(":")[-1] for place in (1, 3, 4)] == [
            "unsupported-image",
            "empty-image",
            "undecodable-image",
        ]
        assert [results[place]["status"] for place in (1, 3, 4)] == [415, 400, 422]


async def test_up_to_32_images_are_taken_and_memory_is_bounded(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    small = settings.model_copy(update={"max_batch_bytes": 4 * len(GOOD[0]) * 32})
    async with running(small) as service:
        many = await send(service, *[GOOD[0]] * 32)
        assert len(many.json()["results"]) == 32
        too_many = await send(service, *[GOOD[0]] * 33)
        assert too_many.status_code == 400
        assert "at most 32" in problem_of(too_many)["detail"]
        too_large = await send(service, *[b"x" * 8 * len(GOOD[0])] * 20)
        assert too_large.status_code == 413
        raw = await service.client.post(BATCH, content=GOOD[0])
        assert raw.status_code == 415
        assert (await service.client.post(BATCH, files={"other": b"x"})).status_code == 400


async def test_a_batch_counts_as_many_predictions(settings: Settings, store: ModelStore) -> None:
    publish_plain(store, 1)
    tight = settings.model_copy(update={"max_pending": 4})
    async with running(tight) as service:
        with service.state.admission.enter():
            refused = await send(service, GOOD[0])
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) >= 1
        assert (await send(service, GOOD[0])).status_code == 200
