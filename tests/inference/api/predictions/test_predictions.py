import base64
import hashlib
import io
import uuid

import numpy as np
import pytest
from PIL import Image

from lentigo_contract.imaging.read import read_image
from lentigo_contract.labels import CODES, DIAGNOSES, MALIGNANT
from lentigo_contract.manifest.manifest import Thresholds
from lentigo_contract.repository.layout import MANIFEST_NAME
from lentigo_contract.repository.store import ModelStore
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes, lesion_image
from tests.images import encoded
from tests.inference.live_app import PREDICTIONS, running
from tests.models import SavedModels, expected, publish_plain

pytestmark = pytest.mark.anyio


async def test_the_answer_has_exactly_the_documented_members(
    settings: Settings, store: ModelStore
) -> None:
    stored = publish_plain(store, 1)
    data = jpeg_bytes(lesion_image(3, size=(300, 225)))
    async with running(settings) as service:
        response = await service.client.post(PREDICTIONS, files={"image": ("x.jpg", data)})
    assert response.status_code == 200
    answer = response.json()
    assert list(answer) == [
        "id",
        "model",
        "image",
        "quality",
        "diagnosis",
        "probabilities",
        "malignancy",
        "notice",
    ]
    assert uuid.UUID(answer["id"]).version == 7
    assert answer["model"] == {
        "name": "lentigo",
        "version": "1",
        "architecture": "mobilenet",
        "engine": "plain",
        "digest": hashlib.sha256((stored.path / MANIFEST_NAME).read_bytes()).hexdigest(),
    }
    assert answer["image"] == {
        "sha256": hashlib.sha256(data).hexdigest(),
        "format": "JPEG",
        "width": 300,
        "height": 225,
    }
    assert answer["quality"] == {
        "accepted": True,
        "reasons": [],
        "unlikeness": None,
        "unlikeness_limit": None,
    }
    assert set(answer["diagnosis"]) == {
        "code",
        "name",
        "probability",
        "decided_by",
        "confident",
    }
    assert all(
        set(entry) == {"code", "name", "probability", "malignant"}
        for entry in answer["probabilities"]
    )
    assert set(answer["malignancy"]) == {"probability", "threshold", "refer", "reasons"}
    assert answer["notice"] == "Research use only. Not a medical device."


async def test_probabilities_are_the_networks_highest_first(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    data = jpeg_bytes()
    truth = expected(read_image(data).pixels[None], seed=1).probabilities[0]
    async with running(settings) as service:
        answer = (await service.predict(data)).json()
    order = np.argsort(-truth)
    assert [entry["code"] for entry in answer["probabilities"]] == [CODES[i] for i in order]
    assert [entry["probability"] for entry in answer["probabilities"]] == pytest.approx(
        truth[order], abs=1e-6
    )
    top = DIAGNOSES[order[0]]
    assert (answer["diagnosis"]["code"], answer["diagnosis"]["name"]) == (top.code, top.name)
    assert answer["malignancy"]["probability"] == pytest.approx(truth[list(MALIGNANT)].sum())


@pytest.mark.parametrize(("threshold", "refer"), [(0.0, True), (1.0, False)])
async def test_a_lesion_is_referred_from_the_manifests_threshold_on(
    settings: Settings, store: ModelStore, threshold: float, refer: bool
) -> None:
    publish_plain(store, 1, thresholds=Thresholds(malignancy=threshold, source="made up"))
    async with running(settings) as service:
        answer = (await service.predict()).json()
    assert answer["malignancy"]["threshold"] == threshold
    assert answer["malignancy"]["refer"] is refer
    assert answer["malignancy"]["reasons"] == (["malignancy"] if refer else [])


@pytest.mark.parametrize("content_type", ["image/jpeg", "IMAGE/PNG; q=1", "image/x-unheard-of"])
async def test_a_raw_body_is_answered_like_a_form(
    settings: Settings, store: ModelStore, content_type: str
) -> None:
    publish_plain(store, 1)
    data = jpeg_bytes()
    async with running(settings) as service:
        raw = await service.client.post(
            PREDICTIONS, content=data, headers={"Content-Type": content_type}
        )
        form = await service.client.post(PREDICTIONS, files={"image": data})
    assert raw.status_code == form.status_code == 200
    assert {**raw.json(), "id": ""} == {**form.json(), "id": ""}


async def test_a_body_without_a_content_type_is_read_by_its_content(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        request = service.client.build_request("POST", PREDICTIONS, content=jpeg_bytes())
        assert "content-type" not in request.headers
        assert (await service.client.send(request)).status_code == 200


async def test_the_size_is_the_one_a_viewer_shows(settings: Settings, store: ModelStore) -> None:
    publish_plain(store, 1)
    exif = Image.Exif()
    exif[0x0112] = 6
    sideways = encoded(lesion_image(1, size=(300, 225)), "JPEG", exif=exif)
    async with running(settings) as service:
        answer = (await service.predict(sideways)).json()
    assert (answer["image"]["width"], answer["image"]["height"]) == (225, 300)


async def test_explain_adds_the_map_of_the_top_diagnosis(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    left_dark = np.full((224, 224, 3), 250, np.uint8)
    left_dark[:, :112] = 20
    async with running(settings) as service:
        data = encoded(Image.fromarray(left_dark), "PNG")
        answer = (await service.predict(data, explain="true")).json()
    drawn = answer["activation_map"]
    assert drawn["code"] == answer["diagnosis"]["code"]
    assert drawn["media_type"] == "image/png"
    picture = Image.open(io.BytesIO(base64.b64decode(drawn["data"])))
    assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (56, 56))
    grey = np.asarray(picture, dtype=float)
    cells = expected(left_dark[None], seed=1).activation_map[0, :, :, CODES.index(drawn["code"])]
    assert grey[:, 40:].mean() > grey[:, :16].mean()
    assert cells[:, 4:].mean() > cells[:, :3].mean()


async def test_explain_all_adds_the_maps_of_all_seven(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        top = (await service.predict(explain="true")).json()
        answer = (await service.predict(explain="all")).json()
    assert "activation_maps" not in top
    assert answer["activation_map"] == top["activation_map"] == answer["activation_maps"][0]
    codes = [drawn["code"] for drawn in answer["activation_maps"]]
    assert codes == [entry["code"] for entry in answer["probabilities"]]
    assert len({drawn["data"] for drawn in answer["activation_maps"]}) > 1


async def test_the_real_runtime_returns_what_the_network_computes(
    settings: Settings, store: ModelStore, saved_models: SavedModels
) -> None:
    saved_models.publish(store, seed=5)
    data = jpeg_bytes(lesion_image(9, "mel"))
    truth = expected(read_image(data).pixels[None], seed=5).probabilities[0]
    async with running(settings, load=None) as service:
        answer = (await service.predict(data, explain="true")).json()
    served = {entry["code"]: entry["probability"] for entry in answer["probabilities"]}
    assert [served[code] for code in CODES] == pytest.approx(truth, abs=1e-5)
    assert answer["activation_map"]["code"] == answer["diagnosis"]["code"]


async def test_every_prediction_has_its_own_id(settings: Settings, store: ModelStore) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        first, second = await service.predict(), await service.predict()
    assert first.json()["id"] != second.json()["id"]
    assert first.headers["cache-control"] == "no-store"
