"""A running service: what `/v1/monitoring` and the metrics say, and which alerts that fires."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from PIL import Image, ImageFilter
from structlog.testing import capture_logs

from lentigo_contract.imaging.quality import assess_quality
from lentigo_contract.imaging.read import read_image
from lentigo_contract.labels import CODES
from lentigo_contract.manifest.input_reference import LEVELS, InputReference
from lentigo_contract.manifest.manifest import Thresholds
from lentigo_contract.repository.store import ModelStore
from lentigo_inference.security.api_keys import Scope, add_key, make_key
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes, lesion_image, made_unlikeness
from tests.inference.audit.trails import Trail, made_trail
from tests.inference.live_app import PREDICTIONS, Running, problem_of, running
from tests.inference.monitoring.alerts import firing
from tests.inference.observability.scraping import Scrape, scrape
from tests.models import expected, publish_plain

pytestmark = pytest.mark.anyio

SEED: Final = 1
IMAGES: Final = 60
DRIFTS: Final = (
    "LentigoBrightnessDrift",
    "LentigoSharpnessDrift",
    "LentigoUnlikenessDrift",
    "LentigoDiagnosesDrift",
)
FIGURES: Final = ("LentigoSensitivityLow", "LentigoMiscalibrated")


def lesions() -> Iterator[Image.Image]:
    for place in range(IMAGES):
        yield lesion_image(place, CODES[place % len(CODES)])


def measured() -> dict[str, Any]:
    """Give what a manifest says that was measured on these lesions."""
    pixels = np.stack([read_image(jpeg_bytes(each)).pixels for each in lesions()])
    found = [assess_quality(each, 300, 225) for each in pixels]
    said = expected(pixels, SEED, unlikeness=True)
    assert said.unlikeness is not None

    def quantiles(values: Any) -> tuple[float, ...]:
        return tuple(np.quantile(np.array(values, float), LEVELS).tolist())

    reference = InputReference(
        images="drawn lesions",
        n=1000,
        refused=0,
        brightness=quantiles([each.brightness for each in found]),
        sharpness=quantiles([each.sharpness for each in found]),
        unlikeness=quantiles(said.unlikeness),
    )
    confusion = np.zeros((7, 7), int)
    np.add.at(confusion, (0, said.probabilities.argmax(axis=1)), 20)
    return {
        "input_reference": reference,
        "metrics": {"confusion": confusion.tolist()},
        "unlikeness": made_unlikeness(0.9),
    }


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    return measured()


@pytest.fixture
def trail(tmp_path: Path) -> Trail:
    return made_trail(tmp_path)


@pytest.fixture
def key(tmp_path: Path) -> str:
    """A key that may do everything."""
    entry, text = make_key("everything", frozenset(Scope))
    add_key(tmp_path / "keys.json", entry)
    return text


@pytest.fixture
def guarded(settings: Settings, tmp_path: Path, key: str) -> Settings:
    assert key
    return settings.model_copy(update={"key_file": tmp_path / "keys.json"})


@pytest.fixture
def audited(guarded: Settings, trail: Trail) -> Settings:
    return guarded.model_copy(update={"audit_dir": trail.folder, "audit_key": trail.key})


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def monitoring(service: Running, key: str) -> dict[str, Any]:
    response = await service.client.get("/v1/monitoring", headers=bearer(key))
    assert response.status_code == 200, response.text
    report: dict[str, Any] = response.json()
    return report


async def scraped(service: Running, key: str) -> Scrape:
    return await scrape(service.client, **bearer(key))


async def send(service: Running, key: str, images: Iterator[Image.Image]) -> list[dict[str, Any]]:
    answers = []
    for image in images:
        response = await service.predict(jpeg_bytes(image), bearer(key))
        assert response.status_code == 200
        answers.append(response.json())
    return answers


async def confirm(service: Running, key: str, answer: dict[str, Any], diagnosis: str) -> None:
    given = {"diagnosis": diagnosis, "confirmed_by": "histopathology"}
    response = await service.client.post(
        f"{PREDICTIONS}/{answer['id']}/feedback", json=given, headers=bearer(key)
    )
    assert response.status_code == 200, response.text


async def test_images_like_those_it_was_measured_on_fire_no_alert(
    guarded: Settings, store: ModelStore, key: str, figures: dict[str, Any]
) -> None:
    publish_plain(store, SEED, **figures)
    async with running(guarded) as service:
        await send(service, key, lesions())
        report, seen = await monitoring(service, key), await scraped(service, key)
    found = report["input"]
    assert (found["images"], found["reference"]) == (IMAGES, "drawn lesions")
    for name in ("brightness", "sharpness", "unlikeness"):
        assert found[name]["drift"]["value"] < 0.1
        assert found[name]["drift"]["low"] == 0
        assert found[name]["median"] == pytest.approx(found[name]["reference_median"], rel=0.05)
    assert found["diagnoses"]["drift"]["value"] < 0.1
    assert found["refused"]["share"]["value"] == 0
    assert found["since"].endswith("Z")
    assert firing(seen, *DRIFTS, *FIGURES) == set()


@pytest.mark.parametrize(
    ("change", "alert", "quiet"),
    [
        pytest.param(
            lambda image: image.point(lambda value: value * 0.75),
            "LentigoBrightnessDrift",
            "LentigoSharpnessDrift",
            id="darker",
        ),
        pytest.param(
            lambda image: image.filter(ImageFilter.GaussianBlur(2)),
            "LentigoSharpnessDrift",
            "LentigoBrightnessDrift",
            id="softer",
        ),
        pytest.param(
            lambda image: Image.merge("RGB", image.split()[::-1]),
            "LentigoUnlikenessDrift",
            "LentigoSharpnessDrift",
            id="of another colour",
        ),
    ],
)
async def test_images_that_look_otherwise_fire_their_alert(
    guarded: Settings,
    store: ModelStore,
    key: str,
    figures: dict[str, Any],
    change: Any,
    alert: str,
    quiet: str,
) -> None:
    publish_plain(store, SEED, **figures)
    async with running(guarded) as service:
        await send(service, key, map(change, lesions()))
        fired = firing(await scraped(service, key), *DRIFTS)
    assert alert in fired
    assert quiet not in fired


async def test_other_diagnoses_than_expected_fire_their_alert(
    guarded: Settings, store: ModelStore, key: str, figures: dict[str, Any]
) -> None:
    named = np.array(figures["metrics"]["confusion"])[0]
    never = int(named.argmin())
    confusion = np.zeros((7, 7), int)
    confusion[never, never] = 1000
    publish_plain(store, SEED, **figures | {"metrics": {"confusion": confusion.tolist()}})
    async with running(guarded) as service:
        await send(service, key, lesions())
        report, seen = await monitoring(service, key), await scraped(service, key)
    assert report["input"]["diagnoses"]["shares"][never]["expected"] == 1
    assert firing(seen, *DRIFTS) == {"LentigoDiagnosesDrift"}


async def test_a_version_without_a_reference_is_not_measured(
    guarded: Settings, store: ModelStore, key: str
) -> None:
    publish_plain(store, SEED)
    async with running(guarded) as service:
        await send(service, key, lesions())
        report, seen = await monitoring(service, key), await scraped(service, key)
    nothing = {"value": None, "low": None, "high": None, "n": IMAGES}
    assert report["input"]["reference"] is None
    assert report["input"]["brightness"]["drift"] == nothing
    assert report["input"]["brightness"]["median"] > 0
    assert report["input"]["diagnoses"]["drift"]["value"] is None
    assert seen.found("lentigo_input_drift") == []
    assert seen.value("lentigo_input_images") == IMAGES
    assert firing(seen, *DRIFTS, *FIGURES) == set()


async def test_images_of_a_batch_count_and_those_that_fail_do_not(
    guarded: Settings, store: ModelStore, key: str
) -> None:
    publish_plain(store, SEED)
    blank = jpeg_bytes(Image.new("RGB", (300, 225), (226, 178, 160)))
    parts = [("image", jpeg_bytes()), ("image", b"x"), ("image", blank)]
    async with running(guarded) as service:
        await service.client.post(f"{PREDICTIONS}:batch", files=parts, headers=bearer(key))
        assert (await service.predict(b"x", bearer(key))).status_code == 415
        report = await monitoring(service, key)
    assert report["input"]["images"] == 2
    assert report["input"]["diagnoses"]["drift"]["n"] == 1


async def test_a_new_version_begins_anew_and_the_one_before_has_not_forgotten(
    audited: Settings, store: ModelStore, key: str
) -> None:
    publish_plain(store, SEED)
    async with running(audited) as service:
        (answer,) = await send(service, key, iter([lesion_image(1)]))
        await confirm(service, key, answer, "nv")
        publish_plain(store, 2)
        await service.look()
        after = await monitoring(service, key)
        await service.client.post(
            "/v2/repository/models/lentigo/load",
            json={"parameters": {"version": "1"}},
            headers=bearer(key),
        )
        back = await monitoring(service, key)
    assert (after["model"]["version"], after["confirmed"]["answers"]) == ("2", 0)
    assert after["input"]["images"] == 0
    assert (back["model"]["version"], back["confirmed"]["answers"]) == ("1", 1)
    assert back["input"]["images"] == 1


async def test_confirmed_is_compared_with_said(
    audited: Settings, store: ModelStore, key: str
) -> None:
    publish_plain(store, SEED)
    async with running(audited) as service:
        answers = await send(service, key, lesions())
        for answer in answers[:40]:
            await confirm(service, key, answer, "mel")
        for answer in answers[40:52]:
            await confirm(service, key, answer, answer["diagnosis"]["code"])
        report, seen = await monitoring(service, key), await scraped(service, key)
    found = report["confirmed"]
    said = [answer["diagnosis"]["code"] for answer in answers[:52]]
    right = [code == "mel" for code in said[:40]] + [True] * 12
    malignant = [
        answer
        for place, answer in enumerate(answers[:52])
        if place < 40 or said[place] in {"akiec", "bcc", "mel"}
    ]
    referred = [answer["malignancy"]["refer"] for answer in malignant]
    assert found["answers"] == 52
    assert found["confirmed_by"]["histopathology"] == 52
    assert found["accuracy"]["value"] == pytest.approx(np.mean(right))
    assert found["referral_sensitivity"]["n"] == len(referred)
    assert found["referral_sensitivity"]["value"] == pytest.approx(np.mean(referred))
    assert seen.value("lentigo_confirmed_answers") == 52
    assert seen.value("lentigo_confirmed_figure", figure="accuracy") == pytest.approx(
        found["accuracy"]["value"]
    )
    assert seen.value("lentigo_confirmed_figure_examples", figure="accuracy") == 52


@pytest.mark.parametrize(
    ("threshold", "diagnosis", "alert"),
    [(1.0, "mel", "LentigoSensitivityLow"), (0.3, "nv", "LentigoMiscalibrated")],
    ids=["none is referred, all are malignant", "all are likely malignant, none is"],
)
async def test_what_is_confirmed_otherwise_than_said_fires_its_alert(
    audited: Settings,
    store: ModelStore,
    key: str,
    threshold: float,
    diagnosis: str,
    alert: str,
) -> None:
    publish_plain(store, SEED, thresholds=Thresholds(malignancy=threshold, source="made up"))
    async with running(audited) as service:
        answers = await send(service, key, islice(lesions(), 15))
        before = await scraped(service, key)
        for answer in answers:
            await confirm(service, key, answer, diagnosis)
        await monitoring(service, key)
        after = await scraped(service, key)
    assert firing(before, *FIGURES) == set()
    assert alert in firing(after, *FIGURES)


async def test_few_answers_have_no_figure_and_fire_nothing(
    audited: Settings, store: ModelStore, key: str
) -> None:
    publish_plain(store, SEED)
    async with running(audited) as service:
        (answer,) = await send(service, key, iter([lesion_image(1)]))
        await confirm(service, key, answer, "mel")
        report, seen = await monitoring(service, key), await scraped(service, key)
    assert report["confirmed"]["referral_sensitivity"] == {
        "value": None,
        "low": None,
        "high": None,
        "n": 1,
    }
    assert seen.found("lentigo_confirmed_figure", figure="referral_sensitivity") == []
    assert seen.value("lentigo_confirmed_figure_examples", figure="referral_sensitivity") == 1
    assert firing(seen, *FIGURES) == set()


async def test_feedback_is_known_after_a_restart_and_to_every_instance(
    audited: Settings, store: ModelStore, key: str
) -> None:
    publish_plain(store, SEED)
    async with running(audited) as first, running(audited) as second:
        answers = await send(first, key, iter([lesion_image(1), lesion_image(2)]))
        await confirm(first, key, answers[0], "nv")
        await confirm(second, key, answers[1], "nv")
        reports = [await monitoring(service, key) for service in (first, second)]
    assert [report["confirmed"]["answers"] for report in reports] == [2, 2]
    assert [report["input"]["images"] for report in reports] == [2, 0]
    async with running(audited) as later:
        assert (await monitoring(later, key))["confirmed"]["answers"] == 2


async def test_later_feedback_on_an_answer_replaces_the_earlier(
    audited: Settings, store: ModelStore, key: str
) -> None:
    publish_plain(store, SEED)
    async with running(audited) as service:
        (answer,) = await send(service, key, iter([lesion_image(1)]))
        await confirm(service, key, answer, "nv")
        await confirm(service, key, answer, "mel")
        found = (await monitoring(service, key))["confirmed"]
    assert found["answers"] == 1
    assert found["melanoma_sensitivity"]["n"] == 1


async def test_without_a_trail_nothing_is_confirmed(
    guarded: Settings, store: ModelStore, key: str
) -> None:
    publish_plain(store, SEED)
    async with running(guarded) as service:
        report = await monitoring(service, key)
    assert report["confirmed"]["answers"] == 0
    assert report["confirmed"]["since"] is None
    assert report["notice"] == "Research use only. Not a medical device."


async def test_without_a_version_there_is_nothing_to_monitor(guarded: Settings, key: str) -> None:
    async with running(guarded) as service:
        response = await service.client.get("/v1/monitoring", headers=bearer(key))
        seen = await scraped(service, key)
    assert problem_of(response)["type"].endswith(":not-ready")
    assert seen.value("lentigo_input_images") == 0
    assert seen.found("lentigo_confirmed_figure_examples") == []


async def test_it_is_closed_without_a_key_file(settings: Settings, store: ModelStore) -> None:
    publish_plain(store, SEED)
    async with running(settings) as service:
        response = await service.client.get("/v1/monitoring")
    assert (response.status_code, problem_of(response)["type"].rpartition(":")[2]) == (
        403,
        "forbidden",
    )


async def test_it_needs_the_scope_admin(
    settings: Settings, store: ModelStore, tmp_path: Path
) -> None:
    publish_plain(store, SEED)
    keys = {}
    for scope in Scope:
        entry, keys[scope] = make_key(scope.value, frozenset({scope}))
        add_key(tmp_path / "one-each.json", entry)
    closed = settings.model_copy(update={"key_file": tmp_path / "one-each.json"})
    async with running(closed) as service:
        statuses = {
            scope: (await service.client.get("/v1/monitoring", headers=bearer(key))).status_code
            for scope, key in keys.items()
        }
    assert statuses == {each: 200 if each is Scope.ADMIN else 403 for each in Scope}


async def test_a_trail_that_cannot_be_read_is_503_and_the_metrics_stay(
    audited: Settings, store: ModelStore, trail: Trail, key: str
) -> None:
    publish_plain(store, SEED)
    async with running(audited) as service:
        (answer,) = await send(service, key, iter([lesion_image(1)]))
        await confirm(service, key, answer, "nv")
        await monitoring(service, key)
        trail.folder.rename(trail.folder.with_name("away"))
        response = await service.client.get("/v1/monitoring", headers=bearer(key))
        seen = await scraped(service, key)
        with capture_logs() as lines:
            for _ in range(2):
                service.state.monitor.follow()
    assert problem_of(response)["type"].endswith(":audit-unavailable")
    assert seen.value("lentigo_confirmed_answers") == 1
    assert [line["event"] for line in lines if line["event"] == "feedback not read"] == [
        "feedback not read"
    ]


async def test_an_answer_that_is_withheld_is_not_counted(
    audited: Settings, store: ModelStore, trail: Trail, key: str
) -> None:
    publish_plain(store, SEED)
    async with running(audited) as service:
        away = trail.folder.rename(trail.folder.with_name("away"))
        assert (await service.predict(headers=bearer(key))).status_code == 503
        away.rename(trail.folder)
        assert (await monitoring(service, key))["input"]["images"] == 0
