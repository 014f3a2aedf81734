import uuid

import pytest
import structlog

from lentigo_contract.store import ModelStore
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes
from tests.inference.serving import PREDICTIONS, running
from tests.models import publish_plain

pytestmark = pytest.mark.anyio


async def test_a_request_id_is_echoed(settings: Settings) -> None:
    async with running(settings) as service:
        response = await service.client.get("/v2", headers={"X-Request-ID": "ward-7:0042"})
    assert response.headers["x-request-id"] == "ward-7:0042"


@pytest.mark.parametrize("sent", ["", "two words", "x" * 129, 'a"b', "a/b"])
async def test_a_request_id_that_could_do_harm_is_replaced(settings: Settings, sent: str) -> None:
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
