"""Take the pictures of the camera, kept results and follow-up of docs/phone.md.

    .venv/bin/python -m benchmarks.pictures.device

Writes `docs/images/phone-keep.png`, `phone-kept-results.png`, `phone-camera.png` and
`phone-follow-up.png`, of the real service with the shipped model. Every lesion is drawn by code.
"""

import tempfile
from pathlib import Path
from typing import Final

from PIL import ImageEnhance
from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.pictures.offline import OPTIONS, save
from benchmarks.pictures.page import ABOVE_THRESHOLD
from benchmarks.synthetic.lesion import draw_nevus, nevus_jpeg
from tests.e2e.page.conftest import ARGUMENTS, SHIPPED
from tests.e2e.page.hands import button, choose, file, predict
from tests.e2e.page.test_camera import HEIGHT, WIDTH, write_video
from tests.e2e.page.test_follow_up import BROWN, moved, png, with_lesion
from tests.e2e.service_process import service_process

WORDS: Final = "four words of your own"


def main() -> None:
    """Start the service and a browser with a film for a camera, and take each picture."""
    with (
        service_process(SHIPPED, LENTIGO_ENGINE="litert") as service,
        sync_playwright() as playwright,
        tempfile.TemporaryDirectory() as folder,
    ):
        service.logged("model in use")
        film = Path(folder) / "film.y4m"
        write_video(film, [draw_nevus(ABOVE_THRESHOLD).resize((WIDTH, HEIGHT))])
        camera = [
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-video-capture={film}",
        ]
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=[*ARGUMENTS, *camera]
        )
        take_all(browser.new_context(**OPTIONS).new_page(), service.url)
        browser.close()


def take_all(page: Page, url: str) -> None:
    """Take each picture."""
    page.goto(url)
    page.locator("body.loaded").wait_for()
    button(page, "Live camera").click()
    page.get_by_text("Focus and light are good.").wait_for()
    save(page, "camera")
    page.keyboard.press("Escape")
    before = with_lesion((100, 80), BROWN)
    after = ImageEnhance.Brightness(moved(with_lesion((122, 98), BROWN), 25, 1.1)).enhance(0.85)
    choose(page, png("may.png", before), png("november.png", after))
    button(page, "Follow-up").click()
    page.get_by_text("Aligned.").wait_for()
    # All of the dialog, which a phone scrolls through.
    page.set_viewport_size({"width": 390, "height": 1800})
    save(page, "follow-up")
    page.set_viewport_size(OPTIONS["viewport"])
    page.keyboard.press("Escape")
    choose(page, file("mole.jpg", nevus_jpeg(ABOVE_THRESHOLD)))
    predict(page)
    button(page, "Keep on this device").click()
    dialog = page.locator("#keep-dialog")
    for name in ("new", "repeat"):
        dialog.locator(f"#keep-{name}").fill(WORDS)
    dialog.locator("#keep-note").fill("left forearm")
    dialog.locator("#keep-image").check()
    save(page, "keep")
    dialog.get_by_role("button", name="Keep", exact=True).click()
    expect(dialog).to_have_count(0)
    page.get_by_text("Kept results", exact=True).click()
    button(page, "Show the image").click()
    page.locator("#kept-body img").scroll_into_view_if_needed()
    save(page, "kept-results")


if __name__ == "__main__":
    main()
