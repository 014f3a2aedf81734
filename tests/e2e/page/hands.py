"""Files to choose, made by code, and what the tests do with the page again and again."""

import time
from importlib.resources import files

from playwright.sync_api import FilePayload, Locator, Page, Route, expect

from tests.e2e.service_process import DEADLINE_S
from tests.fakes import jpeg_bytes, lesion_image

expect.set_options(timeout=DEADLINE_S * 1000)

WEB = files("lentigo_inference").joinpath("web")

PREDICTIONS = "**/v1/predictions*"

HEIC = b"\0\0\0\x18ftypheic" + bytes(100)


def lesion(code: str = "mel", seed: int = 5) -> FilePayload:
    data = jpeg_bytes(lesion_image(seed, code, (600, 450)))
    return file(f"lesion-{code}-{seed}.jpg", data)


def file(name: str, data: bytes) -> FilePayload:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": data}


def choose(page: Page, *chosen: FilePayload) -> None:
    before = page.locator(".item").count()
    page.locator("#choose").set_input_files(list(chosen))
    expect(page.locator(".item")).to_have_count(before + len(chosen))


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def open_image(page: Page, place: int) -> None:
    """Show one of the images: by its row of the overview, or in the row of images."""
    rows = page.locator("#overview tbody tr" if page.locator("#overview").is_visible() else ".item")
    rows.nth(place).click()


def see_result(page: Page) -> None:
    expect(page.locator(".result h2")).to_be_visible()
    # On paper there is always a map.
    page.locator(".report canvas[data-code]").wait_for(state="attached")


def show_map(page: Page) -> Locator:
    """Ask for the map, and give its canvas."""
    button(page, "Show the model\N{RIGHT SINGLE QUOTATION MARK}s map").click()
    canvas = page.locator(".look canvas[data-code]")
    expect(canvas).to_be_visible()
    return canvas


def predict(page: Page) -> None:
    button(page, "Predict").click()
    see_result(page)


def see_problem(page: Page, title: str) -> Locator:
    problem = page.locator(".problem")
    expect(problem.locator("h2")).to_have_text(title)
    return problem


def violations(page: Page) -> list[str]:
    """What axe-core has against the page by WCAG 2.2 AA."""
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
    found = page.evaluate(
        "() => axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})"
    )
    return [f"{entry['id']}: {entry['nodes'][0]['html']}" for entry in found["violations"]]


def scrolls_sideways(page: Page) -> bool:
    return bool(
        page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    )


def serve_modules(page: Page) -> None:
    """Let the page's own modules be imported one by one; the service sends them joined."""

    def answer(route: Route) -> None:
        name = route.request.url.partition("/page/modules/")[2]
        route.fulfill(
            content_type="text/javascript",
            body=WEB.joinpath(f"js/{name}").read_text("utf-8"),
        )

    page.route("**/page/modules/**/*.js", answer)


class Held:
    """The next predictions, which stay on their way until they are let go."""

    def __init__(self, page: Page, count: int = 1) -> None:
        self._page = page
        self._count = count
        self._routes: list[Route] = []
        # For good: Chromium lets go whatever is held when the last route is taken away.
        page.route(PREDICTIONS, self._hold)

    def _hold(self, route: Route) -> None:
        if len(self._routes) < self._count:
            self._routes.append(route)
        else:
            route.continue_()

    def let_go(self, place: int) -> None:
        """Let one go, in the order they came; waits until it has come."""
        self.wait_for(place + 1)
        self._routes[place].continue_()

    def wait_for(self, count: int) -> None:
        over = time.monotonic() + DEADLINE_S
        while len(self._routes) < count:
            assert time.monotonic() < over, f"{len(self._routes)} of {count} predictions came"
            # Playwright hears of requests only while it waits for the browser.
            self._page.evaluate("() => new Promise(requestAnimationFrame)")
