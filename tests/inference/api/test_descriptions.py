"""`describe=true`: what the lesion looks like, beside the prediction and never in its way."""

import asyncio
import threading
from typing import Any

import httpx
import numpy as np
import pytest
import structlog
from PIL import Image

from lentigo_contract.description.describe import Description
from lentigo_contract.repository.store import ModelStore
from lentigo_inference.serving.description import NOT_READY
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes
from tests.images import encoded
from tests.inference.live_app import PREDICTIONS, problem_of, running
from tests.inference.network import DEADLINE_S
from tests.made_up_lesions import disc_mask, picture, with_hairs
from tests.models import publish_plain

pytestmark = pytest.mark.anyio

DISC = disc_mask((150, 112), 52)


def photo(pixels: "np.ndarray[Any, Any]", scale: int = 2) -> bytes:
    image = Image.fromarray(pixels)
    return jpeg_bytes(image.resize((scale * image.width, scale * image.height)))


LESION = photo(picture(DISC))


async def described(settings: Settings, data: bytes, **parameters: str) -> dict[str, Any]:
    async with running(settings) as service:
        response = await service.client.post(
            PREDICTIONS,
            content=data,
            headers={"Content-Type": "application/octet-stream"},
            params={"describe": "true", **parameters},
        )
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


async def test_a_lesion_is_described_in_pixels_of_its_image(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    answer = await described(settings, LESION)
    found = answer["description"]
    assert list(answer)[-1] == "description"
    assert (found["described"], found["reason"], found["sentence"]) == (True, None, None)
    assert found["asymmetry"]["score"] == 0
    assert len(found["asymmetry"]["axes"]) == 2
    assert len(found["border"]["sectors"]) == 8
    assert found["border"]["score"] == sum(each["abrupt"] for each in found["border"]["sectors"])
    assert found["colours"]["score"] == len(found["colours"]["found"]) >= 1
    assert found["diameter"]["pixels"] == pytest.approx(2 * 104, abs=20)
    (outline,) = found["outlines"]
    assert np.mean(outline, axis=0) == pytest.approx([301, 225], abs=4)
    for part in ("asymmetry", "border", "colours", "diameter"):
        assert found[part]["sentence"].endswith(".")
    assert "plays no part in the diagnosis" in found["notice"]
    assert "Not a medical device" in found["notice"]


async def test_the_diagnosis_is_the_same_with_and_without(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        without = (await service.predict(LESION)).json()
        along = (await service.predict(LESION, describe="true", explain="true")).json()
    assert "description" not in without
    assert "activation_map" in along
    for member in ("model", "image", "quality", "diagnosis", "probabilities", "malignancy"):
        assert along[member] == without[member]


async def test_a_photo_on_its_side_is_described_upright(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    right = Image.fromarray(picture(disc_mask((200, 112), 50)))
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(right, "JPEG", exif=exif)
    found = await described(settings, data)
    assert (found["image"]["width"], found["image"]["height"]) == (225, 300)
    middle = np.mean(found["description"]["outlines"][0], axis=0)
    # Turned by a quarter, what was on the right is below.
    assert middle == pytest.approx([112, 200], abs=6)


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (picture(), "no-lesion"),
        (picture(np.ones_like(DISC), skin=(120, 72, 56)), "all-lesion"),
        (with_hairs(picture(DISC), 260, width=3), "hair"),
    ],
)
async def test_what_cannot_be_described_is_told_with_the_reason(
    settings: Settings, store: ModelStore, pixels: "np.ndarray[Any, Any]", reason: str
) -> None:
    publish_plain(store, 1)
    answer = await described(settings, photo(pixels), force="true")
    found = answer["description"]
    assert (found["described"], found["reason"]) == (False, reason)
    assert found["sentence"].startswith("Not described: ")
    assert found["outlines"] == []
    nothing = ("share", "cut", "asymmetry", "border", "colours", "diameter")
    assert all(found[part] is None for part in nothing)
    assert answer["diagnosis"] is not None


async def test_a_lesion_that_the_edge_cuts_is_described_in_part(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    found = (await described(settings, photo(picture(disc_mask((0, 112), 80)))))["description"]
    assert (found["described"], found["reason"]) == (True, "cut")
    assert found["asymmetry"] is found["diameter"] is found["border"]["irregularity"] is None
    assert found["cut"] > 0.05
    assert "cannot be seen" in found["border"]["sentence"]


async def test_an_image_that_cannot_be_judged_is_not_described_unless_forced(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    small = jpeg_bytes(Image.fromarray(picture(DISC)).resize((96, 72)))
    withheld = await described(settings, small)
    assert withheld["diagnosis"] is None
    assert withheld["description"]["reason"] == "unusable"
    forced = await described(settings, small, force="true")
    assert forced["description"]["reason"] != "unusable"


@pytest.mark.parametrize("error", [ValueError("a fault"), MemoryError()])
async def test_a_failure_of_the_description_does_not_fail_the_prediction(
    settings: Settings,
    store: ModelStore,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def fail(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr("lentigo_inference.serving.description.describe", fail)
    publish_plain(store, 1)
    with structlog.testing.capture_logs() as logs:
        answer = await described(settings, LESION)
    assert answer["diagnosis"] is not None
    assert answer["description"]["reason"] == "failed"
    assert "lesion not described" in [entry["event"] for entry in logs]


async def test_a_description_that_is_not_ready_in_time_does_not_fail_the_prediction(
    settings: Settings, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()

    def held(*_arguments: object) -> Description:
        assert answered.wait(DEADLINE_S)
        return Description(None, "no-lesion")

    monkeypatch.setattr("lentigo_inference.serving.description.describe", held)
    monkeypatch.setattr("lentigo_inference.serving.predictor._TO_ANSWER_S", 1e9)
    publish_plain(store, 1)
    async with running(settings) as service:
        answer = (await service.predict(LESION, describe="true")).json()
        answered.set()
    assert answer["diagnosis"] is not None
    assert answer["description"]["reason"] == "failed"


async def test_other_images_do_not_wait_behind_descriptions(
    settings: Settings, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_plain(store, 1)
    begun, go_on = threading.Semaphore(0), threading.Event()

    def held(*_arguments: object) -> Description:
        begun.release()
        assert go_on.wait(DEADLINE_S)
        return NOT_READY

    monkeypatch.setattr("lentigo_inference.serving.description.describe", held)
    async with running(settings) as service:
        described = [
            asyncio.create_task(service.predict(LESION, describe="true"))
            for _ in range(settings.decode_threads + 1)
        ]
        for _ in range(settings.decode_threads):
            assert await asyncio.to_thread(begun.acquire, timeout=DEADLINE_S)
        async with asyncio.timeout(DEADLINE_S):
            plain = await service.predict(LESION)
        go_on.set()
        statuses = [answer.status_code for answer in await asyncio.gather(*described)]
    assert plain.status_code == 200
    assert set(statuses) == {200}


async def test_each_image_of_a_batch_is_described(settings: Settings, store: ModelStore) -> None:
    publish_plain(store, 1)
    images = [LESION, b"no image", photo(picture())]
    async with running(settings) as service:
        response = await service.client.post(
            f"{PREDICTIONS}:batch?describe=true", files=[("image", image) for image in images]
        )
    first, second, third = response.json()["results"]
    assert first["description"]["described"]
    assert second["status"] == 415
    assert not third["description"]["described"]


async def test_fhir_has_no_description(
    settings: Settings, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []
    monkeypatch.setattr(
        "lentigo_inference.serving.predictor.describe_upload",
        lambda *arguments, **options: seen.append((arguments, options)),
    )
    publish_plain(store, 1)
    async with running(settings) as service:
        response = await service.predict(
            LESION, {"Accept": "application/fhir+json"}, describe="true"
        )
    assert response.json()["resourceType"] == "Bundle"
    assert seen == []


async def test_a_description_counts_against_the_limit_of_predictions(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    tight = settings.model_copy(update={"max_pending": 2})
    async with running(tight) as service:
        with service.state.admission.enter(1):
            assert (await service.predict(LESION)).status_code == 200
            refused = await service.predict(LESION, describe="true")
            assert refused.status_code == 503
            assert "retry-after" in {name.lower() for name in refused.headers}
            assert problem_of(refused)["type"].endswith("busy")


async def test_the_log_has_the_time_of_a_description(settings: Settings, store: ModelStore) -> None:
    publish_plain(store, 1)
    with structlog.testing.capture_logs() as logs:
        await described(settings, LESION)
    (line,) = (entry for entry in logs if entry["event"] == "request")
    assert 0 < line["describe_milliseconds"] <= line["milliseconds"]


@pytest.mark.parametrize("value", ["maybe", "2", ""])
async def test_another_value_is_refused(settings: Settings, store: ModelStore, value: str) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        response: httpx.Response = await service.predict(LESION, describe=value)
    assert response.status_code == 400
