import hashlib
import uuid

import pytest
import structlog

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes
from tests.inference.live_app import PREDICTIONS, running
from tests.models import publish_plain

pytestmark = pytest.mark.anyio


async def test_a_request_id_is_echoed(settings: Settings) -> None:
    async with running(settings) as service:
        response = await service.client.get("/v2", headers={"X-Request-ID": "ward-7:0042"})
    assert response.headers["x-request-id"] == "ward-7:0042"


@pytest.mark.parametrize("sent", ["", "two words", "x" * 129, 'a"b', "a/b"])
async def test_an_unsafe_request_id_is_replaced(settings: Settings, sent: str) -> None:
    async with running(settings) as service:
        response = await service.client.get("/nothing", headers={"X-Request-ID": sent})
    assert uuid.UUID(response.headers["x-request-id"]).version == 7
    assert response.json()["instance"].endswith(response.headers["x-request-id"])


async def test_the_log_has_one_line_a_request_and_nothing_that_names_a_patient(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as logs:
        async with running(settings) as service:
            answer = await service.client.post(
                PREDICTIONS + "?note=Jane-Doe",
                files={"image": ("Jane-Doe.jpg", jpeg_bytes())},
                headers={"X-Request-ID": "r1"},
            )
            await service.client.post(PREDICTIONS, files={"Jane-Doe": ("Jane-Doe.jpg", b"x")})
            await service.client.get("/v1/Jane-Doe.jpg")
            await service.client.get("/v2/models/Jane-Doe")
    assert answer.status_code == 200
    requests = [entry for entry in logs if entry["event"] == "request"]
    assert [(entry["method"], entry["route"], entry["status"]) for entry in requests] == [
        ("POST", "/v1/predictions", 200),
        ("POST", "/v1/predictions", 400),
        ("GET", "unmatched", 404),
        ("GET", "/v2/models/{model}", 404),
    ]
    assert requests[0]["request_id"] == "r1"
    assert "Jane-Doe" not in repr(logs)


async def test_the_line_of_a_prediction_has_its_digest_version_and_times(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    damaged = jpeg_bytes()[:2000]
    with structlog.testing.capture_logs() as logs:
        async with running(settings) as service:
            await service.predict()
            await service.predict(damaged)
    answered, refused = (entry for entry in logs if entry["event"] == "request")
    assert answered["image_sha256"] == hashlib.sha256(jpeg_bytes()).hexdigest()
    assert answered["model_version"] == 1
    steps = [answered[f"{step}_milliseconds"] for step in ("decode", "queue", "inference")]
    assert all(0 <= step <= answered["milliseconds"] for step in steps)
    assert "problem" not in answered
    assert refused["image_sha256"] == hashlib.sha256(damaged).hexdigest()
    assert refused["problem"] == "undecodable-image"
    assert "inference_milliseconds" not in refused


async def test_the_line_of_a_prediction_names_its_answer(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    with structlog.testing.capture_logs() as logs:
        async with running(settings) as service:
            answer = (await service.predict()).json()
            await service.predict(b"x")
    answered, refused = (entry for entry in logs if entry["event"] == "request")
    assert answer["model"]["engine"] == "plain"
    assert answered["id"] == answer["id"]
    assert answered["engine"] == answer["model"]["engine"]
    assert answered["refer"] == answer["malignancy"]["refer"]
    assert answered["client"] == "127.0.0.1"
    assert not {"id", "refer"} & set(refused)


async def test_the_line_of_a_batch_names_its_answers_in_the_order_of_the_images(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    with structlog.testing.capture_logs() as logs:
        async with running(settings) as service:
            files = [("image", jpeg_bytes()), ("image", b"x"), ("image", jpeg_bytes())]
            batch = await service.client.post(f"{PREDICTIONS}:batch", files=files)
    first, _, last = batch.json()["results"]
    (line,) = (entry for entry in logs if entry["event"] == "request")
    assert line["ids"] == [first["id"], None, last["id"]]
    refers = [each["malignancy"]["refer"] for each in (first, last)]
    assert line["refers"] == [refers[0], None, refers[1]]
    assert line["engine"] == "plain"


async def test_the_line_of_a_request_for_several_has_their_number_and_no_digest(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    with structlog.testing.capture_logs() as logs:
        async with running(settings) as service:
            files = [("image", jpeg_bytes()), ("image", b"x")]
            await service.client.post(f"{PREDICTIONS}:batch", files=files)
    (line,) = (entry for entry in logs if entry["event"] == "request")
    assert (line["status"], line["images"], line["model_version"]) == (200, 2, 1)
    assert "image_sha256" not in line
    assert "problem" not in line
    assert line["inference_milliseconds"] >= 0


async def test_the_line_of_a_request_without_prediction_has_none_of_these_fields(
    settings: Settings,
) -> None:
    with structlog.testing.capture_logs() as logs:
        async with running(settings) as service:
            await service.client.get("/v2")
    (line,) = (entry for entry in logs if entry["event"] == "request")
    assert set(line) == {
        "event",
        "log_level",
        "method",
        "route",
        "status",
        "milliseconds",
        "client",
    }


@pytest.mark.parametrize(("path", "status"), [("/v2/health/live", 200), ("/v2/health/ready", 503)])
async def test_the_log_has_the_method_head(settings: Settings, path: str, status: int) -> None:
    with structlog.testing.capture_logs() as logs:
        async with running(settings) as service:
            answer = await service.client.head(path)
    (line,) = [each for each in logs if each["event"] == "request"]
    assert (line["method"], line["route"], line["status"]) == ("HEAD", path, status)
    assert (answer.status_code, answer.content) == (status, b"")
