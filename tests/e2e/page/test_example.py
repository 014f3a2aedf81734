"""An example for whoever has no lesion at hand."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from lentigo_contract.manifest.manifest import Thresholds
from lentigo_contract.repository.store import ModelStore
from tests.e2e.page.conftest import Visit
from tests.e2e.page.hands import button, choose, lesion, see_result, violations
from tests.e2e.service_process import ServiceProcess, service_process
from tests.fakes import made_unlikeness
from tests.models import SavedModels


@pytest.fixture(scope="module")
def wary(
    saved_models: SavedModels, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceProcess]:
    """A service that refuses everything as unlike what it learnt from."""
    store = ModelStore(tmp_path_factory.mktemp("wary") / "models")
    thresholds = Thresholds(malignancy=1.0, source="made up", abstention=0.0)
    saved_models.publish(store, 3, unlikeness=made_unlikeness(1e-9), thresholds=thresholds)
    with service_process(store.root) as running:
        running.logged("model in use")
        yield running


def test_a_drawing_is_answered_and_marked_as_one(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    button(page, "See an example").click()
    see_result(page)
    expect(page.locator("#drawn")).to_contain_text("A drawing, not a lesion")
    expect(page.locator("#drawn")).to_contain_text("says nothing about how good the model is")
    expect(page.locator("#drawn")).not_to_contain_text("refused")
    expect(page.locator("figcaption .drawn")).to_have_text("A drawing, not a lesion")
    expect(page.locator(".report figcaption").first).to_have_text("A drawing, not a lesion")
    expect(page.get_by_role("status").first).to_contain_text("A drawing, not a lesion")
    sent = [url for url in asked if "/v1/predictions" in url]
    assert len(sent) == 1
    assert "force" not in sent[0]
    assert violations(page) == []


def test_where_the_model_refuses_the_drawing_the_page_forces_it_and_says_so(
    visit: Visit, wary: ServiceProcess
) -> None:
    page = visit(wary.url)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    button(page, "See an example").click()
    see_result(page)
    expect(page.locator("#drawn")).to_contain_text(
        "The model refused the drawing and was made to predict anyway. "
        "It is unlike the images that this model learned from."
    )
    expect(page.locator("#warning")).to_contain_text("Do not rely on this result.")
    sent = [url for url in asked if "/v1/predictions" in url]
    assert [url.endswith("&force=true") for url in sent] == [False, True]
    with page.expect_download() as download:
        button(page, "Save as JSON").click()
    saved = json.loads(download.value.path().read_text())
    assert saved["drawn_example"]
    assert saved["forced"]
    # Only the example is forced.
    choose(page, lesion())
    button(page, "Predict").click()
    expect(page.locator(".withheld h2")).to_be_visible()


def test_the_example_is_always_the_same_and_there_once(page: Page) -> None:
    sums = []
    for _ in range(2):
        button(page, "See an example").click()
        see_result(page)
        with page.expect_download() as download:
            button(page, "Save as JSON").click()
        sums.append(json.loads(download.value.path().read_text())["answer"]["image"]["sha256"])
        button(page, "Remove").click()
    assert sums[0] == sums[1]
