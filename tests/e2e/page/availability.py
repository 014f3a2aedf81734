"""Making the page available offline, as a person does it."""

import json
from typing import Any

from playwright.sync_api import Page, expect

from tests.e2e.page.hands import button

# A seed of `draw_nevus` that the shipped version accepts.
ACCEPTED = 4

MODEL = "**/v1/offline/model*"


def open_section(page: Page) -> None:
    page.get_by_text("Answer without a network").click()


def press_keep(page: Page) -> None:
    open_section(page)
    page.get_by_role("button", name="Make available offline").click()


def turn_on(page: Page) -> None:
    press_keep(page)
    expect(page.locator("#offline-body")).to_contain_text("is kept on this device")
    page.evaluate("() => navigator.serviceWorker.ready.then(() => null)")


def see_failure(page: Page, text: str) -> None:
    """It says why, keeps nothing, and can be tried again."""
    expect(page.locator("#offline-body .problem")).to_contain_text(text)
    assert kept(page) == []
    expect(page.get_by_role("button", name="Make available offline")).to_be_enabled()


def kept(page: Page) -> list[str]:
    names: list[str] = page.evaluate("() => caches.keys()")
    return [name for name in names if name.startswith("lentigo-offline")]


def answer_of(page: Page) -> dict[str, Any]:
    """What "Save as JSON" saves of the selected image."""
    with page.expect_download() as saved:
        button(page, "Save as JSON").click()
    answer: dict[str, Any] = json.loads(saved.value.path().read_text())["answer"]
    return answer
