"""Every state of the page, on every kind of screen: accessible, and never wider than the screen."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.e2e.page.conftest import Visit
from tests.e2e.page.hands import (
    HEIC,
    PREDICTIONS,
    Held,
    button,
    choose,
    file,
    lesion,
    scrolls_sideways,
    see_result,
    violations,
)
from tests.e2e.service_process import ServiceProcess
from tests.fakes import jpeg_bytes

PHONE: Final = {
    "viewport": {"width": 320, "height": 640},
    "has_touch": True,
    "is_mobile": True,
    "locale": "de-DE",
}
LOOKS: Final[dict[str, dict[str, Any]]] = {
    "desktop": {"color_scheme": "light"},
    "desktop, dark": {"color_scheme": "dark"},
    "phone": {**PHONE, "color_scheme": "light"},
    "phone, dark": {**PHONE, "color_scheme": "dark"},
}
PREDICT: Final = {"en-GB": "Predict", "de-DE": "Diagnose bestimmen"}


def states(page: Page, predict: str) -> Iterator[str]:
    """Bring the page from state to state, and name each."""
    yield "empty"
    held = Held(page)
    choose(page, lesion(), lesion("nv"))
    yield "list"
    button(page, predict).click()
    expect(page.locator(".progress")).to_be_visible()
    yield "working"
    held.let_go(0)
    see_result(page)
    yield "result"
    page.locator("#map-toggle").click()
    expect(page.locator(".look canvas[data-code]")).to_be_visible()
    page.locator(".origins summary").click()
    yield "result, its map and its origins"
    page.locator("#view-overview").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    yield "overview"
    page.locator("#view-image").click()
    choose(page, file("blank.jpg", jpeg_bytes(Image.new("RGB", (600, 450), "tan"))))
    page.locator(".item").last.click()
    button(page, predict).click()
    expect(page.locator(".withheld")).to_be_visible()
    yield "no diagnosis"
    page.locator(".withheld .button").first.click()
    see_result(page)
    expect(page.locator("#warning")).to_be_visible()
    yield "predicted anyway"
    choose(page, file("photo.heic", HEIC))
    page.locator(".item").last.click()
    expect(page.locator(".problem")).to_be_visible()
    yield "error"
    page.route(PREDICTIONS, lambda route: route.abort())
    page.locator(".item").nth(1).click()
    button(page, predict).click()
    expect(page.locator(".countdown")).to_be_visible()
    yield "waiting"
    page.locator("#key-dialog").evaluate("dialog => dialog.showModal()")
    yield "asking for a key"


@pytest.mark.parametrize("look", LOOKS)
def test_every_state_is_accessible_and_fits_the_screen(
    visit: Visit, service: ServiceProcess, look: str
) -> None:
    options = LOOKS[look]
    page = visit(service.url, **options)
    expect(page.locator("#model p")).to_have_count(2)
    found = {
        state: (violations(page), scrolls_sideways(page))
        for state in states(page, PREDICT[options.get("locale", "en-GB")])
    }
    assert {state: seen for state, seen in found.items() if seen != ([], False)} == {}
    assert len(found) == 11


def test_a_phone_offers_its_camera(visit: Visit, service: ServiceProcess) -> None:
    page = visit(service.url, **PHONE)
    expect(page.get_by_text("Foto aufnehmen")).to_be_visible()
    assert page.locator("#camera").get_attribute("capture") == "environment"
    page.locator("#camera").set_input_files([lesion()])
    button(page, "Diagnose bestimmen").tap()
    expect(page.locator(".result .notice")).to_have_text(
        "Nur für die Forschung. Kein Medizinprodukt."
    )


def test_touch_targets_are_large_enough(visit: Visit, service: ServiceProcess) -> None:
    page = visit(service.url, **PHONE)
    choose(page, lesion(), lesion("nv"))
    button(page, "Diagnose bestimmen").tap()
    see_result(page)
    page.locator("#map-toggle").click()
    sizes = page.evaluate(
        """() => [...document.querySelectorAll("button, .button, select, summary, [type=range]")]
            .map((element) => [element.outerHTML.slice(0, 60), element.getBoundingClientRect()])
            .filter(([, box]) => box.width > 0 && (box.width < 44 || box.height < 44))
            .map(([markup]) => markup)"""
    )
    assert sizes == []


@pytest.mark.parametrize(("wish", "animation"), [("reduce", "none"), ("no-preference", "along")])
def test_motion_is_reduced_on_request(
    visit: Visit, service: ServiceProcess, wish: str, animation: str
) -> None:
    page = visit(service.url, reduced_motion=wish)
    held = Held(page)
    choose(page, lesion())
    button(page, "Predict").click()
    held.wait_for(1)
    track = page.locator(".track")
    expect(track).to_be_visible()
    shown = track.evaluate("track => getComputedStyle(track, '::after').animationName")
    assert shown == animation
    held.let_go(0)
    see_result(page)


def test_another_language_falls_back_to_english(visit: Visit, service: ServiceProcess) -> None:
    page = visit(service.url, locale="fi-FI")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_text("Choose images")).to_be_visible()
