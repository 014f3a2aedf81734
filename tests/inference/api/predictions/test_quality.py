"""Images that cannot be judged, and diagnoses that are not relied on."""

from typing import Any

import numpy as np
import pytest
import structlog
from PIL import Image

from lentigo_contract.labels import CODES
from lentigo_contract.manifest.manifest import Thresholds
from lentigo_contract.repository.store import ModelStore, StoredVersion
from lentigo_engines.base import Engine
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes, lesion_image, made_compression, made_unlikeness
from tests.images import encoded
from tests.inference.held_engine import HeldEngine
from tests.inference.live_app import Running, problem_of, running
from tests.inference.observability.scraping import scrape
from tests.models import expected, publish_plain

pytestmark = pytest.mark.anyio

BATCH = "/v1/predictions:batch"
LESION = jpeg_bytes()
BLANK = encoded(Image.new("RGB", (300, 225), (226, 178, 160)), "PNG")
SMALL = encoded(lesion_image(1, size=(64, 48)), "PNG")
# As sharp as any lesion, and of a colour that the made-up network knows from none.
BLUE = encoded(Image.fromarray(np.asarray(lesion_image(2))[:, :, ::-1]), "PNG")
WITHHELD = {"probability": None, "threshold": 0.3, "refer": True, "reasons": ["unusable"]}


def withheld(answer: dict[str, Any]) -> bool:
    """Whether an answer has everything but what the network says."""
    assert answer["id"]
    assert answer["model"]["version"] == "1"
    assert answer["image"]["sha256"]
    assert answer["notice"] == "Research use only. Not a medical device."
    assert "activation_map" not in answer
    assert "activation_maps" not in answer
    given = (answer["diagnosis"], answer["probabilities"], answer["malignancy"])
    return given == (None, [], WITHHELD)


async def send_batch(service: Running, *images: bytes, **parameters: str) -> list[dict[str, Any]]:
    files = [("image", image) for image in images]
    response = await service.client.post(BATCH, files=files, params=parameters)
    assert response.status_code == 200
    results: list[dict[str, Any]] = response.json()["results"]
    return results


@pytest.mark.parametrize("explain", ["false", "true", "all"])
@pytest.mark.parametrize(
    ("image", "reasons"),
    [(BLANK, ["blank"]), (SMALL, ["too-small"])],
    ids=["blank", "too small"],
)
async def test_an_image_with_a_flaw_gets_no_diagnosis_and_a_referral(
    settings: Settings, store: ModelStore, image: bytes, reasons: list[str], explain: str
) -> None:
    publish_plain(store, 1, unlikeness=made_unlikeness(0.25))
    async with running(settings) as service:
        answer = (await service.predict(image, explain=explain)).json()
    assert withheld(answer)
    assert answer["quality"] == {
        "accepted": False,
        "reasons": reasons,
        "unlikeness": None,
        "unlikeness_limit": 0.25,
    }


async def test_the_engine_never_sees_an_image_with_a_flaw_unless_forced(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    engine = HeldEngine()

    def load(_stored: StoredVersion) -> Engine:
        return engine

    async with running(settings, load) as service:
        engine.opened.set()
        engine.holding.set()
        await service.predict(BLANK)
        await send_batch(service, BLANK, LESION)
        assert engine.seen == 1
        await service.predict(BLANK, force="true")
        assert engine.seen == 2


async def test_an_image_unlike_the_training_images_gets_no_diagnosis(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1, unlikeness=made_unlikeness(0.02))
    async with running(settings) as service:
        lesion = (await service.predict(LESION, explain="true")).json()
        blue = (await service.predict(BLUE, explain="true")).json()
    assert lesion["quality"] == {
        "accepted": True,
        "reasons": [],
        "unlikeness": 0.0,
        "unlikeness_limit": 0.02,
    }
    assert lesion["diagnosis"]
    assert lesion["activation_map"]
    assert withheld(blue)
    assert blue["quality"]["reasons"] == ["unlike-training-images"]
    assert blue["quality"]["unlikeness"] > blue["quality"]["unlikeness_limit"]


async def test_the_limit_itself_is_still_accepted(settings: Settings, store: ModelStore) -> None:
    pixels = np.asarray(lesion_image(2).resize((224, 224)))[:, :, ::-1]
    reached = expected(pixels[None], 1, unlikeness=True).unlikeness
    assert reached is not None
    image = encoded(Image.fromarray(pixels), "PNG")
    publish_plain(store, 1, unlikeness=made_unlikeness(float(reached[0])))
    async with running(settings) as service:
        quality = (await service.predict(image)).json()["quality"]
    assert quality["unlikeness"] == quality["unlikeness_limit"]
    assert quality["accepted"] is True


async def test_a_version_without_the_check_refuses_nothing_as_unlike(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        answer = (await service.predict(BLUE)).json()
    assert answer["quality"] == {
        "accepted": True,
        "reasons": [],
        "unlikeness": None,
        "unlikeness_limit": None,
    }


@pytest.mark.parametrize(
    ("image", "reasons"),
    [(SMALL, ["too-small"]), (BLUE, ["unlike-training-images"])],
    ids=["flaw", "unlike"],
)
async def test_force_answers_anyway_and_says_what_is_wrong(
    settings: Settings, store: ModelStore, image: bytes, reasons: list[str]
) -> None:
    publish_plain(
        store,
        1,
        unlikeness=made_unlikeness(0.02),
        thresholds=Thresholds(malignancy=1.0, source="made up"),
    )
    async with running(settings) as service:
        answer = (await service.predict(image, force="true", explain="all")).json()
    assert answer["quality"]["accepted"] is False
    assert answer["quality"]["reasons"] == reasons
    assert answer["quality"]["unlikeness"] >= 0
    assert answer["diagnosis"]["code"] == answer["probabilities"][0]["code"]
    assert len(answer["probabilities"]) == len(answer["activation_maps"]) == len(CODES)
    assert answer["malignancy"]["probability"] > 0
    assert answer["malignancy"]["refer"] is True
    assert answer["malignancy"]["reasons"] == ["unusable"]


async def test_force_changes_nothing_for_an_image_that_can_be_judged(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1, unlikeness=made_unlikeness())
    async with running(settings) as service:
        plain = (await service.predict(LESION)).json()
        forced = (await service.predict(LESION, force="true")).json()
    assert {**plain, "id": ""} == {**forced, "id": ""}


async def test_a_force_that_is_not_a_boolean_is_refused(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        response = await service.predict(force="gently")
        batch = await service.client.post(BATCH, params={"force": "gently"})
    for each in (response, batch):
        assert each.status_code == 400
        assert problem_of(each)["type"].endswith("invalid-parameter")


async def test_a_batch_has_refusals_errors_and_diagnoses_side_by_side(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1, unlikeness=made_unlikeness(0.02))
    async with running(settings) as service:
        results = await send_batch(service, BLANK, LESION, b"x", BLUE)
        forced = await send_batch(service, BLANK, LESION, b"x", BLUE, force="true")
    assert withheld(results[0])
    assert results[1]["diagnosis"]
    assert results[2]["status"] == 415
    assert withheld(results[3])
    assert [each.get("quality", {}).get("accepted") for each in forced] == [
        False,
        True,
        None,
        False,
    ]
    assert all(forced[place]["diagnosis"] for place in (0, 1, 3))


@pytest.mark.parametrize(
    ("abstention", "confident", "reasons"),
    [(None, None, []), (0.0, True, []), (1.0, False, ["unconfident"])],
)
async def test_a_diagnosis_below_the_abstention_threshold_is_given_and_referred(
    settings: Settings,
    store: ModelStore,
    abstention: float | None,
    confident: bool | None,
    reasons: list[str],
) -> None:
    thresholds = Thresholds(malignancy=1.0, source="made up", abstention=abstention)
    publish_plain(store, 1, thresholds=thresholds)
    async with running(settings) as service:
        answer = (await service.predict()).json()
    assert answer["quality"]["accepted"] is True
    assert answer["diagnosis"]["confident"] is confident
    assert answer["malignancy"]["reasons"] == reasons
    assert answer["malignancy"]["refer"] is bool(reasons)


async def test_every_reason_to_refer_is_listed(settings: Settings, store: ModelStore) -> None:
    thresholds = Thresholds(malignancy=0.0, source="made up", abstention=1.0)
    publish_plain(store, 1, thresholds=thresholds)
    async with running(settings) as service:
        answer = (await service.predict(SMALL, force="true")).json()
    assert answer["malignancy"]["reasons"] == ["malignancy", "unconfident", "unusable"]


async def test_what_cannot_be_judged_is_counted_and_logged_by_its_reason(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1, unlikeness=made_unlikeness(0.02))
    with structlog.testing.capture_logs() as logs:
        async with running(settings) as service:
            await service.predict(BLANK)
            await service.predict(BLUE)
            await send_batch(service, SMALL, LESION, BLUE, force="true")
            await service.predict()
            seen = await scrape(service.client)
    metric = "lentigo_unaccepted_images_total"
    counted = {each.labels["reason"]: each.value for each in seen.found(metric)}
    assert counted == {
        "too-small": 1,
        "blank": 1,
        "too-dark": 0,
        "too-bright": 0,
        "blurred": 0,
        "unlike-training-images": 2,
    }
    # Those that were forced, and the lesions.
    assert seen.value("lentigo_predictions_total") == 4
    lines = [entry for entry in logs if entry.get("route", "").startswith("/v1/predictions")]
    assert [line.get("unaccepted") for line in lines] == [
        ["blank"],
        ["unlike-training-images"],
        ["too-small", "unlike-training-images"],
        None,
    ]


async def test_v1_models_lists_thresholds_and_limits(settings: Settings, store: ModelStore) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        (before,) = (await service.client.get("/v1/models")).json()["models"]
        publish_plain(
            store,
            2,
            unlikeness=made_unlikeness(0.5),
            forced="It was tried.",
            compression=made_compression(),
            thresholds=Thresholds(
                malignancy=0.3, source="a", abstention=0.4, abstention_source="made up"
            ),
        )
        await service.look()
        (after,) = (await service.client.get("/v1/models")).json()["models"]
    assert before["abstention_threshold"] is None
    assert before["abstention_source"] == ""
    assert before["unlikeness"] is None
    assert before["forced"] is None
    assert before["compression"] is None
    assert before["signature"] == {"state": "unsigned", "key": None}
    assert after["forced"] == "It was tried."
    assert after["compression"] == ["half of the channels removed", "int8"]
    assert after["abstention_threshold"] == 0.4
    assert after["abstention_source"] == "made up"
    assert after["unlikeness"] == {"limit": 0.5, "method": "made up", "source": "code"}


async def test_infer_gives_the_unlikeness_where_the_version_has_it(
    settings: Settings, store: ModelStore
) -> None:
    """It is told and not judged: these are a user's own pixels and own limit."""
    pixels = np.random.default_rng(3).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    pixels[..., 0] //= 2
    tensor = {"name": "image", "datatype": "UINT8", "shape": list(pixels.shape)}
    body = {
        "inputs": [{**tensor, "data": pixels.ravel().tolist()}],
        "outputs": [{"name": "unlikeness"}, {"name": "probabilities"}],
    }
    publish_plain(store, 1)
    async with running(settings) as service:
        refused = await service.client.post("/v2/models/lentigo/infer", json=body)
        assert refused.status_code == 400
        assert "outputs of version 1" in problem_of(refused)["detail"]
        bare = (await service.client.get("/v2/models/lentigo")).json()["outputs"]
        publish_plain(store, 1, unlikeness=made_unlikeness())
        await service.look()
        answer = (await service.client.post("/v2/models/lentigo/infer", json=body)).json()
        metadata = (await service.client.get("/v2/models/lentigo")).json()["outputs"]
    truth = expected(pixels, 1, unlikeness=True)
    assert truth.unlikeness is not None
    first, second = answer["outputs"]
    assert (first["name"], first["shape"]) == ("unlikeness", [2])
    assert first["data"] == pytest.approx(truth.unlikeness.tolist())
    assert second["shape"] == [2, 7]
    assert [each["name"] for each in bare] == ["probabilities", "activation_map"]
    assert metadata == [*bare, {"name": "unlikeness", "datatype": "FP32", "shape": [-1]}]
