"""An example for whoever has no lesion at hand."""

import json

from PIL import Image
from playwright.sync_api import Page, expect

from tests.e2e.page.hands import button, choose, file, see_result, violations
from tests.fakes import jpeg_bytes

BLANK = "CanvasRenderingContext2D.prototype.putImageData = () => undefined;"
"""A browser that draws the hairs alone, so that the service refuses the picture."""


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
    page: Page,
) -> None:
    page.context.add_init_script(BLANK)
    page.reload()
    page.locator("body.loaded").wait_for()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    button(page, "See an example").click()
    see_result(page)
    expect(page.locator("#drawn")).to_contain_text(
        "The model refused the drawing and was made to predict anyway. Almost all of it is white."
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
    white = jpeg_bytes(Image.new("RGB", (600, 450), "white"))
    choose(page, file("white.jpg", white))
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
