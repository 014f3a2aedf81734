"""The page when something is wrong."""

from pathlib import Path

from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.e2e.page.lesions import button, choose, file, lesion, predict
from tests.e2e.service_process import ServiceProcess, service_process

PREDICTIONS = "**/v1/predictions*"


def problem(slug: str) -> str:
    return f'{{"type": "urn:lentigo:problem:{slug}", "detail": "Said by the test."}}'


def test_a_damaged_image_is_judged_by_the_service(page: Page) -> None:
    choose(page, file("cut-off.jpg", lesion()["buffer"][:3000]))
    button(page, "Predict").click()
    expect(page.locator(".problem h2")).to_have_text("This image is damaged")
    expect(page.locator(".problem")).to_contain_text("Choose the original file.")


# The service takes no keys yet, so a route answers in its place.
def test_a_key_is_asked_for_and_sent(page: Page) -> None:
    sent: list[str | None] = []

    def guard(route: Route) -> None:
        sent.append(route.request.headers.get("authorization"))
        if sent[-1] == "Bearer open sesame":
            route.continue_()
        else:
            route.fulfill(status=401, body=problem("unauthorized"))

    page.route(PREDICTIONS, guard)
    choose(page, lesion())
    button(page, "Predict").click()
    page.get_by_label("Key", exact=True).fill("open sesame")
    button(page, "Use this key").click()
    expect(page.locator(".result h2")).to_be_visible()
    assert sent == [None, "Bearer open sesame"]
    assert page.evaluate("localStorage.length") == 0


# A busy service cannot be had at will, so a route answers once in its place.
def test_a_busy_service_is_asked_again_by_itself(page: Page) -> None:
    page.route(
        PREDICTIONS,
        lambda route: route.fulfill(status=503, headers={"Retry-After": "2"}, body=problem("busy")),
        times=1,
    )
    choose(page, lesion())
    button(page, "Predict").click()
    expect(page.locator(".countdown")).to_be_visible()
    expect(page.locator(".problem h2")).to_have_text("The service is busy")
    expect(page.locator(".result h2")).to_be_visible()


def test_an_answer_for_a_removed_image_goes_nowhere(page: Page) -> None:
    held: list[Route] = []
    page.route(PREDICTIONS, lambda route: held.append(route), times=1)  # noqa: PLW0108 - Playwright marks it
    choose(page, lesion("mel"), lesion("nv"))
    with page.expect_request(PREDICTIONS):
        button(page, "Predict").click()
    expect(page.locator(".progress")).to_be_visible()
    button(page, "Remove").click()
    expect(page.locator("figcaption .name")).to_have_text(lesion("nv")["name"])
    for route in held:
        route.continue_()
    predict(page)
    expect(page.locator(".item")).to_have_count(1)
    expect(page.locator(".result")).to_have_count(1)


def test_a_slow_network_shows_the_image_and_that_work_goes_on(page: Page) -> None:
    held: list[Route] = []
    page.route(PREDICTIONS, lambda route: held.append(route), times=1)  # noqa: PLW0108 - Playwright marks it
    choose(page, lesion())
    expect(page.locator(".frame img")).to_have_js_property("naturalWidth", 600)
    with page.expect_request(PREDICTIONS):
        button(page, "Predict").click()
    expect(page.locator(".progress")).to_contain_text("Predicting")
    held[0].continue_()
    expect(page.locator(".result h2")).to_be_visible()


def test_a_service_that_goes_away_is_waited_for(
    context: BrowserContext, service: ServiceProcess, models: Path
) -> None:
    page = context.new_page()
    page.goto(service.url)
    page.locator("body.loaded").wait_for()
    choose(page, lesion())
    service.stop()
    button(page, "Predict").click()
    expect(page.locator(".problem h2")).to_have_text("The service cannot be reached")
    with service_process(models, LENTIGO_PORT=str(service.address[1])):
        expect(page.locator(".result h2")).to_be_visible()
