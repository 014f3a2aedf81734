"""What the lesion looks like, drawn beside the image and in words, on request."""

import re

import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Locator, Page, Route, expect

from tests.e2e.page.conftest import Visit
from tests.e2e.page.hands import (
    PREDICTIONS,
    button,
    choose,
    file,
    predict,
    scrolls_sideways,
    violations,
)
from tests.e2e.service_process import ServiceProcess
from tests.fakes import jpeg_bytes
from tests.made_up_lesions import Pixels, disc_mask, picture, with_ruler

DISC = disc_mask((150, 112), 52)


def made(pixels: Pixels) -> FilePayload:
    return file("made.jpg", jpeg_bytes(Image.fromarray(pixels).resize((600, 450))))


def described(page: Page, pixels: Pixels) -> Locator:
    """Predict a made-up picture, ask for its description, and give the figure."""
    choose(page, made(pixels))
    predict(page)
    button(page, "Describe the lesion").click()
    figure = page.locator(".description-figure")
    expect(figure).to_be_visible()
    return figure


def test_the_lesion_is_described_on_request_beside_its_image(page: Page) -> None:
    figure = described(page, picture(DISC))
    expect(figure).to_contain_text("Symmetric about both axes")
    expect(figure).to_contain_text("of 8 sectors")
    expect(figure).to_contain_text("of six: dark brown")
    expect(figure).to_contain_text("pixels at its widest")
    expect(figure).to_contain_text("plays no part in the diagnosis")
    expect(page.locator("#description-toggle")).to_be_focused()
    button(page, "Hide the description").click()
    expect(figure).to_have_count(0)


def test_the_drawing_lies_on_the_lesion_at_every_zoom(page: Page) -> None:
    figure = described(page, picture(DISC))
    for _ in range(2):
        outline = figure.locator(".frame .outline").last.bounding_box()
        image = figure.locator(".frame img").bounding_box()
        assert outline is not None
        assert image is not None
        scale = image["width"] / 300
        assert outline["width"] == pytest.approx(2 * 57 * scale, abs=12 * scale)
        middle = outline["x"] + outline["width"] / 2 - image["x"]
        assert middle == pytest.approx(150.5 * scale, abs=3 * scale)
        button(page, "Zoom in").click()


def test_map_and_description_are_shown_together(page: Page) -> None:
    described(page, picture(DISC))
    button(page, "Show the model\N{RIGHT SINGLE QUOTATION MARK}s map").click()
    expect(page.locator(".look canvas[data-code]")).to_be_visible()
    expect(page.locator(".look .description-figure .frame svg")).to_be_visible()
    assert violations(page) == []


def test_what_cannot_be_described_says_why(page: Page) -> None:
    figure = described(page, with_ruler(picture()))
    expect(figure).to_contain_text("nothing stands out from the skin")
    expect(figure.locator("svg")).to_have_count(0)


def test_of_a_cut_lesion_what_is_seen_is_described(page: Page) -> None:
    figure = described(page, picture(disc_mask((0, 112), 80)))
    expect(figure).to_contain_text("goes on beyond the edge")
    expect(figure).to_contain_text("Not seen:")
    expect(figure).not_to_contain_text("at its widest")


def test_an_answer_of_an_older_service_says_that_there_is_none(page: Page) -> None:
    def without(route: Route) -> None:
        response = route.fetch()
        answer = response.json()
        del answer["description"]
        route.fulfill(response=response, json=answer)

    page.route(PREDICTIONS, without)
    expect(described(page, picture(DISC))).to_contain_text("the description failed")


def test_a_phone_shows_it_without_scrolling_sideways(visit: Visit, service: ServiceProcess) -> None:
    page = visit(service.url, locale="ar-EG", viewport={"width": 390, "height": 844})
    choose(page, made(picture(DISC)))
    page.locator(".panel .button.primary").click()
    page.locator("#description-toggle").click()
    expect(page.locator(".description-figure dl dt")).to_have_count(4)
    assert not scrolls_sideways(page)
    assert violations(page) == []


def test_a_printed_report_has_the_drawing_and_the_words(page: Page) -> None:
    choose(page, made(picture(DISC)))
    predict(page)
    page.emulate_media(media="print")
    report = page.locator(".paper-description")
    expect(report.locator(".print-frame .outline").last).to_be_visible()
    expect(report).to_contain_text("Symmetric about both axes")
    expect(report).to_contain_text("plays no part in the diagnosis")
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))) == 1


def test_a_printed_report_says_why_a_lesion_is_not_described(page: Page) -> None:
    choose(page, made(with_ruler(picture())))
    predict(page)
    page.emulate_media(media="print")
    report = page.locator(".paper-description")
    expect(report).to_contain_text("nothing stands out from the skin")
    expect(report.locator("svg")).to_have_count(0)
