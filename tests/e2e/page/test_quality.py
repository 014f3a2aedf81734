"""Images that cannot be judged, as a clinician meets them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from playwright.sync_api import FilePayload, Page, expect

from lentigo_contract.manifest.manifest import Thresholds
from lentigo_contract.repository.store import ModelStore
from tests.e2e.page.conftest import Visit
from tests.e2e.page.hands import (
    PREDICTIONS,
    button,
    choose,
    file,
    lesion,
    open_image,
    see_result,
    violations,
)
from tests.e2e.service_process import ServiceProcess, service_process
from tests.fakes import jpeg_bytes, lesion_image, made_unlikeness
from tests.models import SavedModels

DRAWN = lesion_image(5, "mel", (600, 450))


def picture(name: str, image: Image.Image) -> FilePayload:
    return file(f"{name}.jpg", jpeg_bytes(image))


BLUE = picture("blue", Image.fromarray(np.asarray(DRAWN)[:, :, ::-1]))
FLAWED = {
    "It is blurred.": picture("blurred", DRAWN.filter(ImageFilter.GaussianBlur(20))),
    "There is nothing to see in it.": picture("blank", Image.new("RGB", (600, 450), "tan")),
    "It is far too dark.": picture("dark", Image.new("RGB", (600, 450), "black")),
    "Almost all of it is white.": picture("bright", Image.new("RGB", (600, 450), "white")),
    "It is too small: 80 \u00d7 60 pixels.": picture("small", DRAWN.resize((80, 60))),
    "It is unlike the images that this model learned from.": BLUE,
}


@pytest.fixture(scope="module")
def service(
    saved_models: SavedModels, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceProcess]:
    """A version that knows what is unlike it, and is never sure of a diagnosis."""
    store = ModelStore(tmp_path_factory.mktemp("quality") / "models")
    thresholds = Thresholds(malignancy=1.0, source="made up", abstention=1.0)
    saved_models.publish(store, 3, unlikeness=made_unlikeness(0.02), thresholds=thresholds)
    with service_process(store.root) as running:
        running.logged("model in use")
        yield running


def refused(page: Page, image: FilePayload) -> None:
    choose(page, image)
    if page.locator(".item").count() > 1:
        open_image(page, -1)
    button(page, "Predict").click()
    expect(page.locator(".withheld h2")).to_have_text("This image cannot be assessed")


def forced(page: Page, image: FilePayload) -> None:
    refused(page, image)
    button(page, "Predict anyway").click()
    see_result(page)


@pytest.mark.parametrize("why", FLAWED)
def test_an_unusable_image_gets_a_reason_and_advice_and_no_diagnosis(page: Page, why: str) -> None:
    refused(page, FLAWED[why])
    flaw = page.locator(".flaws li")
    expect(flaw).to_have_count(1)
    expect(flaw.locator("strong")).to_have_text(why)
    expect(flaw).to_contain_text(re.compile(r"(Take it again|take it again|Choose)"))
    expect(page.locator(".verdict.refer")).to_contain_text(
        "have a dermatologist examine the lesion"
    )
    expect(page.locator(".withheld .notice")).to_be_visible()
    expect(page.locator(".item .state")).to_have_text(re.compile("No diagnosis · Refer$"))
    for shown_with_a_diagnosis in (".result", ".bars", "canvas", ".why"):
        expect(page.locator(shown_with_a_diagnosis)).to_have_count(0)


def test_predict_anyway_gives_a_diagnosis_below_a_warning(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    forced(page, FLAWED["It is blurred."])
    assert [url for url in asked if "/v1/predictions" in url][-1].endswith("&force=true")
    warning = page.locator(".result > :first-child")
    expect(warning).to_have_id("warning")
    expect(warning).to_contain_text("Predicted anyway")
    expect(warning).to_contain_text("It is blurred. Do not rely on this result.")
    expect(page.locator(".verdict.refer p").first).to_contain_text("This image cannot be assessed")
    expect(page.locator(".bars li")).to_have_count(7)
    expect(page.locator(".item .state")).to_contain_text("predicted anyway")
    expect(page.locator(".result h2")).to_be_focused()


def test_a_diagnosis_that_the_model_is_not_sure_of_says_so(page: Page) -> None:
    choose(page, lesion())
    button(page, "Predict").click()
    see_result(page)
    expect(page.locator("#warning")).to_have_count(0)
    expect(page.locator(".unsure")).to_contain_text("No diagnosis stands out")
    expect(page.locator(".verdict.refer p").first).to_contain_text("No diagnosis stands out")
    expect(page.get_by_role("status").first).to_contain_text("No diagnosis stands out")


def test_a_screen_reader_hears_what_is_wrong(page: Page) -> None:
    refused(page, BLUE)
    said = page.get_by_role("status").first
    expect(said).to_contain_text("blue.jpg: no diagnosis. It is unlike the images")
    expect(page.locator(".withheld h2")).to_be_focused()
    button(page, "Predict anyway").click()
    see_result(page)
    expect(said).to_contain_text("Predicted anyway: It is unlike the images")


def test_a_cancelled_predict_anyway_leaves_an_image_that_is_judged_again(page: Page) -> None:
    refused(page, BLUE)
    page.route(PREDICTIONS, lambda _route: None)
    button(page, "Predict anyway").click()
    button(page, "Cancel").click()
    page.unroute(PREDICTIONS)
    button(page, "Predict").click()
    expect(page.locator(".withheld h2")).to_be_visible()


def test_an_unusable_image_does_not_affect_the_others(page: Page) -> None:
    choose(page, lesion(), BLUE, lesion("nv"))
    button(page, "Predict all").click()
    expect(page.locator("tr.done")).to_have_count(3)
    expect(page.locator(".item .state")).to_have_text(
        [re.compile("· Refer"), re.compile("No diagnosis"), re.compile("· Refer")]
    )
    open_image(page, 0)
    see_result(page)
    open_image(page, 1)
    expect(page.locator(".withheld h2")).to_be_visible()
    open_image(page, 2)
    see_result(page)


def test_the_refusal_can_be_saved(page: Page, tmp_path: Path) -> None:
    refused(page, BLUE)
    with page.expect_download() as download:
        button(page, "Save as JSON").click()
    download.value.save_as(tmp_path / "answer.json")
    answer = json.loads((tmp_path / "answer.json").read_text())["answer"]
    assert answer["diagnosis"] is None
    assert answer["quality"]["reasons"] == ["unlike-training-images"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_warnings_are_accessible(visit: Visit, service: ServiceProcess, scheme: str) -> None:
    page = visit(service.url, color_scheme=scheme)
    forced(page, BLUE)
    expect(page.locator(".unsure")).to_be_visible()
    assert violations(page) == []
