"""The image in its stage: filled, zoomed, moved, and under the map on request."""

import pytest
from playwright.sync_api import FloatRect, Locator, Page, expect

from tests.e2e.page.conftest import Visit
from tests.e2e.page.hands import button, choose, lesion, predict, show_map
from tests.e2e.service_process import ServiceProcess

FULL = 600


def box(place: Locator) -> FloatRect:
    found = place.bounding_box()
    assert found is not None
    return found


def picture(page: Page) -> Locator:
    return page.locator(".picture .layer")


def frame(page: Page) -> Locator:
    return page.locator(".picture .frame")


@pytest.fixture
def page(page: Page) -> Page:
    choose(page, lesion())
    expect(page.locator(".look img")).to_have_js_property("naturalWidth", FULL)
    expect(page.locator(".scale")).to_have_text(f"{shown_percent(page)}%")
    return page


def shown_percent(page: Page) -> int:
    return round(100 * box(picture(page))["width"] / FULL)


def test_the_image_fills_its_stage(page: Page) -> None:
    whole, seen = box(frame(page)), box(picture(page))
    assert whole["width"] > 700
    for side in ("x", "y", "width", "height"):
        assert seen[side] == pytest.approx(whole[side], abs=1)


def test_buttons_zoom_to_100_percent_and_back(page: Page) -> None:
    button(page, "Zoom in").click()
    assert shown_percent(page) > 150
    expect(page.locator(".scale")).to_have_text(f"{shown_percent(page)}%")
    button(page, "100%").click()
    assert shown_percent(page) == 100
    button(page, "Fit").click()
    assert box(picture(page))["width"] == pytest.approx(box(frame(page))["width"], abs=1)


def test_the_keyboard_zooms_and_moves(page: Page) -> None:
    frame(page).focus()
    page.keyboard.press("+")
    page.keyboard.press("+")
    before = box(picture(page))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    after = box(picture(page))
    assert after["x"] == pytest.approx(before["x"] - 60, abs=1)
    assert after["y"] == pytest.approx(before["y"] - 60, abs=1)
    page.keyboard.press("1")
    assert shown_percent(page) == 100
    page.keyboard.press("0")
    assert box(picture(page))["x"] == pytest.approx(box(frame(page))["x"], abs=1)


def test_the_wheel_zooms_where_the_pointer_is(page: Page) -> None:
    whole = box(frame(page))
    x, y = whole["x"] + whole["width"] / 4, whole["y"] + whole["height"] / 3
    page.mouse.move(x, y)

    def pointed_at() -> tuple[float, float]:
        seen = box(picture(page))
        return (x - seen["x"]) / seen["width"], (y - seen["y"]) / seen["height"]

    before = pointed_at()
    page.mouse.wheel(0, -200)
    expect(page.locator(".picture .frame.zoomed")).to_be_visible()
    assert box(picture(page))["width"] > 1.3 * whole["width"]
    assert pointed_at() == pytest.approx(before, abs=0.005)


def test_a_drag_moves_the_image_and_never_beyond_its_edge(page: Page) -> None:
    button(page, "Zoom in").click()
    whole, before = box(frame(page)), box(picture(page))
    x, y = whole["x"] + whole["width"] / 2, whole["y"] + whole["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 50, y + 30, steps=3)
    after = box(picture(page))
    assert (after["x"] - before["x"], after["y"] - before["y"]) == pytest.approx((50, 30), abs=1)
    page.mouse.move(x + 3000, y + 3000, steps=3)
    page.mouse.up()
    assert box(picture(page))["x"] == pytest.approx(whole["x"], abs=1)
    assert box(picture(page))["y"] == pytest.approx(whole["y"], abs=1)


def test_a_click_on_a_zoomed_image_brings_its_place_to_the_centre(page: Page) -> None:
    """Whoever cannot drag can still look around."""
    for _ in range(3):
        button(page, "Zoom in").click()
    whole, before = box(frame(page)), box(picture(page))
    page.mouse.click(whole["x"] + whole["width"] / 2 + 100, whole["y"] + whole["height"] / 2 - 60)
    after = box(picture(page))
    assert (after["x"], after["y"]) == pytest.approx((before["x"] - 100, before["y"] + 60), abs=1)


def test_two_fingers_pinch(visit: Visit, service: ServiceProcess) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    page = visit(service.url, **phone)
    choose(page, lesion())
    expect(page.locator(".look img")).to_have_js_property("naturalWidth", FULL)
    whole = box(frame(page))
    x, y = whole["x"] + whole["width"] / 2, whole["y"] + whole["height"] / 2
    devtools = page.context.new_cdp_session(page)

    def touch(kind: str, *apart: float) -> None:
        points = [{"x": x + each, "y": y, "id": place} for place, each in enumerate(apart)]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", -40, 40)
    for step in range(1, 5):
        touch("touchMove", -40 - 10 * step, 40 + 10 * step)
    touch("touchEnd")
    expect(page.locator(".picture .frame.zoomed")).to_be_visible()
    assert box(picture(page))["width"] == pytest.approx(2 * whole["width"], rel=0.05)


def test_each_image_keeps_its_own_zoom(page: Page) -> None:
    choose(page, lesion("nv"))
    button(page, "100%").click()
    assert shown_percent(page) == 100
    button(page, "Previous image").click()
    expect(page.locator("figcaption .name")).to_have_text(lesion()["name"])
    assert shown_percent(page) > 100
    button(page, "Next image").click()
    assert shown_percent(page) == 100


def test_the_map_comes_on_request_beside_the_image_and_moves_along(page: Page) -> None:
    predict(page)
    assert page.locator(".look canvas").count() == 0
    canvas = show_map(page)
    one, other = box(frame(page)), box(page.locator(".why-figure .frame"))
    assert other["x"] >= one["x"] + one["width"]
    assert other["y"] == pytest.approx(one["y"], abs=1)
    assert page.locator(".picture canvas").count() == 0
    button(page, "Zoom in").click()
    assert box(canvas)["width"] == pytest.approx(box(picture(page))["width"], abs=1)
    assert box(canvas)["x"] - other["x"] == pytest.approx(box(picture(page))["x"] - one["x"], abs=1)
    button(page, "Hide the model\N{RIGHT SINGLE QUOTATION MARK}s map").click()
    expect(page.locator(".look canvas")).to_have_count(0)
    expect(page.locator("#map-toggle")).to_be_focused()


def test_on_a_phone_the_map_is_below_the_image(visit: Visit, service: ServiceProcess) -> None:
    page = visit(service.url, viewport={"width": 390, "height": 844})
    choose(page, lesion())
    predict(page)
    show_map(page)
    one, other = box(frame(page)), box(page.locator(".why-figure .frame"))
    assert other["y"] > one["y"] + one["height"]


def test_who_zooms_goes_on_zooming_when_the_answer_comes(page: Page) -> None:
    button(page, "Predict").focus()
    page.keyboard.press("Enter")
    frame(page).focus()
    page.keyboard.press("+")
    expect(page.locator(".result h2")).to_be_visible()
    expect(frame(page)).to_be_focused()
    assert shown_percent(page) > 150
