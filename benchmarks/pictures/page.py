"""Take the README's pictures of the page, of the real service with the shipped model.

    .venv/bin/python -m benchmarks.pictures.page

Writes `docs/images/page-*.png`. The lesions are from `benchmarks.synthetic.lesion`. We picked two
that the model accepts: one below its threshold for a referral and one above it. Its answers to them
say nothing about how good it is. No picture may ever show an image of HAM10000.
"""

import io
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Browser, FilePayload, Page, sync_playwright

from benchmarks.synthetic.lesion import nevus_jpeg
from tests.e2e.page.conftest import ARGUMENTS, DESKTOP, SHIPPED
from tests.e2e.page.hands import HEIC, choose, file, open_image, see_result, show_map
from tests.e2e.service_process import ServiceProcess, service_process

FOLDER = Path(__file__).parents[2] / "docs/images"

# Seeds of `draw_nevus`.
BELOW_THRESHOLD, ABOVE_THRESHOLD = 4, 11

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}


def main() -> None:
    """Start the service and the browser, and take every picture."""
    FOLDER.mkdir(exist_ok=True)
    with service_process(SHIPPED) as service, sync_playwright() as playwright:
        service.logged("model in use")
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        save("desktop", answered(browser, service, viewport={"width": 1280, "height": 1060}))
        save("dark", answered(browser, service, 2, color_scheme="dark", viewport=DESKTOP))
        save("phone", answered(browser, service, locale="de-DE", **PHONE))
        save("arabic", answered(browser, service, 2, locale="ar", **PHONE))
        save("map", mapped(browser, service))
        save("overview", predicted(browser, service, viewport={"width": 1280, "height": 700}))
        save("refused", refused(browser, service))
        save("error", unreadable(browser, service))
        browser.close()


def answered(
    browser: Browser,
    service: ServiceProcess,
    number: int = 1,
    **options: Any,  # noqa: ANN401
) -> Page:
    """Return the page with three results, lesion 1 or 2 open."""
    page = predicted(browser, service, **options)
    open_image(page, number - 1)
    see_result(page)
    page.mouse.move(0, 0)
    page.evaluate("() => window.scrollTo(0, 0)")
    return page


def mapped(browser: Browser, service: ServiceProcess) -> Page:
    """Return the page with a result and its map, which somebody asked for."""
    page = answered(browser, service, viewport={"width": 1440, "height": 720})
    show_map(page)
    page.mouse.move(0, 0)
    return page


def refused(browser: Browser, service: ServiceProcess) -> Page:
    """Return the page with three results, the last one open: not a lesion, so no diagnosis."""
    page = predicted(browser, service, viewport={"width": 1280, "height": 760})
    open_image(page, 2)
    page.locator(".withheld h2").wait_for()
    page.mouse.move(0, 0)
    return page


def predicted(browser: Browser, service: ServiceProcess, **options: Any) -> Page:  # noqa: ANN401
    """Choose two lesions and a letter, and wait for all three results."""
    page = opened(browser, service, **options)
    choose(
        page, lesion(1, BELOW_THRESHOLD), lesion(2, ABOVE_THRESHOLD), file("letter.png", letter())
    )
    page.locator("#predict-all").click()
    page.locator("tbody tr.done").nth(2).wait_for()
    page.mouse.move(0, 0)
    return page


def unreadable(browser: Browser, service: ServiceProcess) -> Page:
    """Return the page with a file of a kind that cannot be read, beside one that can."""
    page = opened(browser, service, viewport={"width": 1280, "height": 640})
    choose(page, lesion(1, BELOW_THRESHOLD), file("IMG_0042.HEIC", HEIC))
    open_image(page, 1)
    page.locator(".problem").wait_for()
    return page


def lesion(number: int, seed: int) -> FilePayload:
    """Return a synthetic lesion under a name that says so."""
    return file(f"synthetic-lesion-{number}.jpg", nevus_jpeg(seed))


def letter() -> bytes:
    """Draw a letter on a desk, as someone might choose it by mistake, and encode it as PNG."""
    desk, paper, ink = (104, 82, 64), (247, 244, 236), (150, 152, 152)
    image = Image.new("RGB", (600, 450), desk)
    pen = ImageDraw.Draw(image)
    pen.rectangle((70, 32, 530, 420), paper)
    pen.text((110, 62), "Referral letter", (40, 48, 56), ImageFont.load_default(32))
    for line, width in enumerate((230, 170, 0, 370, 340, 380, 310, 355, 150, 0, 120)):
        if width:
            pen.rectangle((110, 124 + 26 * line, 110 + width, 132 + 26 * line), ink)
    image = image.rotate(4, Image.Resampling.BICUBIC, fillcolor=desk)
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def opened(browser: Browser, service: ServiceProcess, **options: Any) -> Page:  # noqa: ANN401
    """The page, loaded."""
    page = browser.new_context(**{"locale": "en-GB", "viewport": DESKTOP, **options}).new_page()
    page.goto(service.url)
    page.locator("#model p").nth(1).wait_for()
    return page


def save(name: str, page: Page) -> None:
    """Take a screenshot of what the window shows."""
    path = FOLDER / f"page-{name}.png"
    page.screenshot(path=path)
    with Image.open(path) as taken:
        # A third of the size. Maximum coverage finds the page's rare colours, and one step of
        # k-means moves them to where the pixels are, so that areas of one colour keep it.
        few = taken.convert("RGB").quantize(
            176, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE
        )
        few.save(path, optimize=True)
        print(f"{path.name}: {taken.width} x {taken.height}, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
