"""Take the README's pictures of the page, of the real service with the shipped model.

    .venv/bin/python -m benchmarks.page_pictures

Writes `docs/images/page-*.png`. The lesions are drawn by code, so the model finds them unlike what
it learnt from and is asked to answer anyway; what it says of them means nothing. No picture may
ever show an image of HAM10000.
"""

import re
from pathlib import Path
from typing import Any

from PIL import Image, ImageFilter
from playwright.sync_api import Browser, FilePayload, Page, sync_playwright

from tests.e2e.page.conftest import ARGUMENTS, DESKTOP, SHIPPED
from tests.e2e.page.hands import HEIC, choose, file, see_result
from tests.e2e.service_process import ServiceProcess, service_process
from tests.fakes import jpeg_bytes, lesion_image

FOLDER = Path(__file__).parents[1] / "docs/images"
ANYWAY = re.compile("Answer anyway|Trotzdem antworten")
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def main() -> None:
    """Start the service and the browser, and take every picture."""
    FOLDER.mkdir(exist_ok=True)
    with service_process(SHIPPED) as service, sync_playwright() as playwright:
        service.logged("model in use")
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        save("desktop", answered(browser, service, viewport={"width": 1280, "height": 1060}))
        save("dark", answered(browser, service, color_scheme="dark", viewport=DESKTOP))
        save("phone", answered(browser, service, locale="de-DE", **PHONE))
        save("refused", refused(browser, service))
        save("error", unreadable(browser, service))
        browser.close()


def answered(browser: Browser, service: ServiceProcess, **options: Any) -> Page:  # noqa: ANN401
    """Two images without a diagnosis, and one that was answered anyway."""
    page = judged(browser, service, **options)
    page.get_by_role("button", name=ANYWAY).click()
    see_result(page)
    page.mouse.move(0, 0)
    page.evaluate("() => window.scrollTo(0, 0)")
    return page


def refused(browser: Browser, service: ServiceProcess) -> Page:
    """Three images that are unlike what the model learnt from."""
    return judged(browser, service, viewport={"width": 1280, "height": 760})


def judged(browser: Browser, service: ServiceProcess, **options: Any) -> Page:  # noqa: ANN401
    """Three images, all of them judged, the first one open."""
    page = opened(browser, service, **options)
    choose(page, lesion("bkl", 5), lesion("nv", 2), lesion("vasc", 0))
    page.locator("#predict-all").click()
    page.locator(".item.done").nth(2).wait_for()
    page.locator(".withheld h2").wait_for()
    return page


def unreadable(browser: Browser, service: ServiceProcess) -> Page:
    """A photograph of a kind that cannot be read, beside one that can."""
    page = opened(browser, service, viewport={"width": 1280, "height": 640})
    choose(page, lesion("nv", 2), file("IMG_0042.HEIC", HEIC))
    page.locator(".item").last.click()
    page.locator(".problem").wait_for()
    return page


def lesion(code: str, seed: int) -> FilePayload:
    """Without the grain of the tests' images, which would triple the size of a picture."""
    drawn = lesion_image(seed, code, (600, 450)).filter(ImageFilter.GaussianBlur(1.5))
    return file(f"lesion-{seed + 1}-{code}.jpg", jpeg_bytes(drawn))


def opened(browser: Browser, service: ServiceProcess, **options: Any) -> Page:  # noqa: ANN401
    """The page, loaded."""
    page = browser.new_context(**{"locale": "en-GB", "viewport": DESKTOP, **options}).new_page()
    page.goto(service.url)
    page.locator("#model p").nth(1).wait_for()
    return page


def save(name: str, page: Page) -> None:
    """Take a picture of what the window shows."""
    path = FOLDER / f"page-{name}.png"
    page.screenshot(path=path)
    with Image.open(path) as taken:
        # Every colour of the page has its place; the median cut would shift the rare ones.
        few = taken.convert("RGB").quantize(
            256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
        )
        few.save(path, optimize=True)
        print(f"{path.name}: {taken.width} x {taken.height}, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
