"""Files to choose, made by code, and what the tests do with the page again and again."""

from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.e2e.service_process import DEADLINE_S
from tests.fakes import jpeg_bytes, lesion_image

expect.set_options(timeout=DEADLINE_S * 1000)


def lesion(code: str = "mel", seed: int = 5) -> FilePayload:
    data = jpeg_bytes(lesion_image(seed, code, (600, 450)))
    return file(f"lesion-{code}-{seed}.jpg", data)


def file(name: str, data: bytes) -> FilePayload:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": data}


def choose(page: Page, *files: FilePayload) -> None:
    before = page.locator(".item").count()
    page.locator("#choose").set_input_files(list(files))
    expect(page.locator(".item")).to_have_count(before + len(files))


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def predict(page: Page) -> None:
    button(page, "Predict").click()
    expect(page.locator(".result h2")).to_be_visible()
    page.locator("canvas[data-code]").wait_for()
