"""Take the pictures of docs/phone.md, of the real service with the shipped model.

    .venv/bin/python -m benchmarks.pictures.offline

Writes `docs/images/phone-*.png`. The lesion is synthetic, and the network is off in the last one.
"""

from typing import Any, Final

from playwright.sync_api import Page, sync_playwright

from benchmarks.pictures.page import ABOVE_THRESHOLD, FOLDER, PHONE
from benchmarks.synthetic.lesion import nevus_jpeg
from tests.e2e.page.conftest import ARGUMENTS, SHIPPED
from tests.e2e.page.hands import choose, file, predict
from tests.e2e.service_process import service_process

OPTIONS: Final[dict[str, Any]] = {**PHONE, "locale": "en-GB", "device_scale_factor": 2}


def main() -> None:
    """Start the service and a browser of a phone's size, and take each picture."""
    with service_process(SHIPPED) as service, sync_playwright() as playwright:
        service.logged("model in use")
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        page = browser.new_context(**OPTIONS).new_page()
        page.goto(service.url)
        page.locator("body.loaded").wait_for()
        page.get_by_text("Answer without a network").click()
        keep = page.get_by_role("button", name="Make available offline")
        keep.scroll_into_view_if_needed()
        save(page, "offer")
        keep.click()
        page.get_by_text("is kept on this device").wait_for()
        page.get_by_role("button", name="Remove from this device").scroll_into_view_if_needed()
        save(page, "kept")
        page.context.set_offline(True)
        choose(page, file("mole.jpg", nevus_jpeg(ABOVE_THRESHOLD)))
        predict(page)
        page.locator(".origins").scroll_into_view_if_needed()
        save(page, "answer", full_page=True)
        browser.close()


def save(page: Page, name: str, *, full_page: bool = False) -> None:
    """Write one picture."""
    page.screenshot(path=FOLDER / f"phone-{name}.png", full_page=full_page)


if __name__ == "__main__":
    main()
