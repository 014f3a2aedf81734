"""The live camera: from opening it to a picture that is answered, and what may go wrong."""

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageFilter
from playwright.sync_api import Browser, Locator, Page, Playwright, expect

from tests.e2e.page.conftest import ARGUMENTS, CHROMIUM, Visit
from tests.e2e.page.hands import button, predict, scrolls_sideways, violations
from tests.e2e.page.scenes import HEIGHT, SKIN, WIDTH, far, glaring, good, in_frame, sharpness
from tests.e2e.service_process import DEADLINE_S, ServiceProcess

GOOD: Final = "Focus and light are good."

# Shut whatever happens: the track of the camera, remembered while it is open.
REMEMBER = "() => { window.seen = document.querySelector('video').srcObject.getVideoTracks()[0]; }"

STATE = "() => window.seen.readyState"

SCENES: Final[dict[str, Callable[[], Image.Image]]] = {
    GOOD: good,
    "Far too dark. Turn on a light.": lambda: good().point(lambda value: value // 8),
    "Almost all of it is white.": lambda: Image.new("RGB", (WIDTH, HEIGHT), "white"),
    "There is nothing to see.": lambda: Image.new("RGB", (WIDTH, HEIGHT), SKIN),
    "Blurred.": lambda: good().filter(ImageFilter.GaussianBlur(40)),
    "Light is reflected.": glaring,
    "The lesion is small in the frame.": far,
}


def write_video(path: Path, frames: Sequence[Image.Image]) -> None:
    """Write a film in YUV4MPEG2, which the browser plays again and again in place of a camera."""
    parts = [f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F30:1 Ip A1:1 C420\n".encode()]
    for frame in frames:
        # Full range to that of video (BT.601).
        planes = np.asarray(frame.convert("YCbCr"), np.float32)
        luma = np.rint(16 + planes[..., 0] * 219 / 255).astype(np.uint8)
        colour = planes[..., 1:].reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 2).mean(axis=(1, 3))
        halves = np.rint(128 + (colour - 128) * 224 / 255).astype(np.uint8)
        content = (luma, halves[..., 0], halves[..., 1])
        parts += [b"FRAME\n", *(np.ascontiguousarray(plane).tobytes() for plane in content)]
    path.write_bytes(b"".join(parts))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stands before the camera: it is read when the camera is opened."""
    path = tmp_path_factory.mktemp("camera") / "film.y4m"
    write_video(path, [good()])
    return path


@pytest.fixture(scope="module")
def with_camera(playwright: Playwright, film: Path) -> Iterator[Browser]:
    launched = playwright.chromium.launch(
        executable_path=CHROMIUM,
        args=[
            *ARGUMENTS,
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={film}",
        ],
    )
    yield launched
    launched.close()


OpenPage = Callable[..., Page]


@pytest.fixture
def opened(with_camera: Browser, service: ServiceProcess) -> Iterator[OpenPage]:
    """Open the page with a camera, which is allowed; afterwards it has complained of nothing."""
    complaints: list[str] = []
    asked: list[str] = []
    contexts = []

    def open_page(*, allowed: bool = True, **options: Any) -> Page:
        context = with_camera.new_context(**{"locale": "en-GB", **options})
        context.set_default_timeout(DEADLINE_S * 1000)
        contexts.append(context)
        if allowed:
            context.grant_permissions(["camera"], origin=service.url.rstrip("/"))
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on(
            "console",
            lambda line: complaints.append(line.text) if line.type == "error" else None,
        )
        context.on("request", lambda request: asked.append(request.url))
        page = context.new_page()
        page.goto(service.url)
        page.locator("body.loaded").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith((service.url, "blob:"))] == []


def open_camera(page: Page) -> Locator:
    button(page, "Live camera").click()
    dialog = page.locator("#camera-dialog")
    expect(dialog).to_be_visible()
    return dialog


def see_picture(page: Page) -> Locator:
    dialog = open_camera(page)
    expect(dialog.locator("video")).to_be_visible()
    page.evaluate(REMEMBER)
    return dialog


def see_status(page: Page, text: str) -> None:
    expect(page.locator("#camera-dialog .camera-status")).to_contain_text(text)


def taken_picture(page: Page) -> npt.NDArray[np.float32]:
    """The pixels of the image that is shown, float32 [height, width, 3]."""
    expect(page.locator(".frame img")).to_be_visible()
    data = page.evaluate(
        """async () => {
            const image = document.querySelector(".frame img");
            await image.decode();
            const canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
            canvas.getContext("2d").drawImage(image, 0, 0);
            return canvas.toDataURL("image/png");
        }"""
    )
    png = base64.b64decode(data.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), np.float32)


def test_a_picture_is_taken_and_answered_as_a_chosen_one(opened: OpenPage, film: Path) -> None:
    write_video(film, [good()])
    page = opened(viewport={"width": 390, "height": 844})
    dialog = see_picture(page)
    see_status(page, GOOD)
    expect(dialog).to_contain_text("of the frame.")
    assert (violations(page), scrolls_sideways(page)) == ([], False)
    take = dialog.get_by_role("button", name="Take the picture")
    expect(take).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    assert page.evaluate(STATE) == "ended"
    expect(page.locator("figcaption .name")).to_have_text("Photo 1.jpg")
    picture = taken_picture(page)
    # What was inside the frame, and nothing else.
    assert picture.shape == in_frame(good()).shape
    assert np.abs(picture - in_frame(good())).mean() < 8
    predict(page)
    expect(page.locator(".result .notice")).to_have_text("Research use only. Not a medical device.")


def test_before_the_picture_the_page_says_what_is_to_be_better(
    opened: OpenPage, film: Path
) -> None:
    page = opened()
    for told, draw in SCENES.items():
        write_video(film, [draw()])
        dialog = see_picture(page)
        see_status(page, told)
        name = "Take the picture" if told == GOOD else "Take it anyway"
        expect(dialog.get_by_role("button", name=name)).to_be_visible()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        assert page.evaluate(STATE) == "ended"


def test_the_sharpest_of_several_frames_is_kept(opened: OpenPage, film: Path) -> None:
    blurred = good().filter(ImageFilter.GaussianBlur(4))
    # Seven is prime: whichever frames are skipped, six others never are the three blurred ones.
    write_video(film, [good(), blurred, good(), blurred, good(), blurred, good()])
    page = opened()
    dialog = see_picture(page)
    dialog.locator(".button.primary:visible").click()
    expect(dialog).to_have_count(0)
    sharp, soft = (sharpness(in_frame(image)) for image in (good(), blurred))
    assert sharpness(taken_picture(page)) > (sharp * soft) ** 0.5 * 1.5


def test_a_camera_that_is_not_allowed_is_told_and_can_be_allowed(
    opened: OpenPage, film: Path, service: ServiceProcess
) -> None:
    write_video(film, [good()])
    page = opened(allowed=False)
    dialog = open_camera(page)
    see_status(page, "The browser does not let this page use the camera.")
    assert violations(page) == []
    page.context.grant_permissions(["camera"], origin=service.url.rstrip("/"))
    button(page, "Try again").click()
    see_status(page, GOOD)
    button(page, "Close").click()
    expect(dialog).to_have_count(0)
    expect(button(page, "Live camera")).to_be_focused()


def test_what_cannot_be_loaded_is_told_beside_its_button(
    visit: Visit, service: ServiceProcess
) -> None:
    page = visit(service.url, service_workers="block")
    page.route("**/page/camera.js", lambda route: route.abort())
    button(page, "Live camera").click()
    told = page.locator("#intake .feature-failed")
    expect(told).to_have_text(
        "This part of the page cannot be loaded now. Try again with a network."
    )
    assert violations(page) == []


def test_a_device_without_a_camera_is_told(visit: Visit, service: ServiceProcess) -> None:
    page = visit(service.url)
    open_camera(page)
    see_status(page, "No camera was found.")


def test_a_page_without_https_has_no_camera_and_says_why(
    visit: Visit, service: ServiceProcess
) -> None:
    page = visit(service.url)
    # As a browser shows itself to such a page.
    page.evaluate("() => Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
    open_camera(page)
    see_status(page, "only where the page came over HTTPS")


@pytest.mark.parametrize("event", ["ended", "mute"])
def test_a_camera_that_goes_away_is_told_and_let_go(
    opened: OpenPage, film: Path, event: str
) -> None:
    write_video(film, [good()])
    page = opened()
    see_picture(page)
    page.evaluate("(event) => window.seen.dispatchEvent(new Event(event))", event)
    see_status(page, "The camera went away. No picture was taken.")
    assert page.evaluate(STATE) == "ended"
    expect(page.locator("video")).to_be_hidden()
    button(page, "Try again").click()
    see_status(page, GOOD)


def test_a_camera_that_stops_in_the_middle_of_a_burst_takes_no_picture(
    opened: OpenPage, film: Path
) -> None:
    write_video(film, [good()])
    page = opened()
    dialog = see_picture(page)
    page.evaluate(
        """() => { HTMLVideoElement.prototype.requestVideoFrameCallback = () =>
            window.seen.dispatchEvent(new Event("ended")); }"""
    )
    dialog.locator(".button.primary:visible").click()
    see_status(page, "The camera went away. No picture was taken.")
    expect(page.locator(".item")).to_have_count(0)


def test_the_camera_is_let_go_when_the_page_is_hidden(opened: OpenPage, film: Path) -> None:
    write_video(film, [good()])
    page = opened()
    see_picture(page)
    page.evaluate(
        """() => {
            Object.defineProperty(document, "hidden", { value: true, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    see_status(page, "The camera was turned off because the page was hidden.")
    assert page.evaluate(STATE) == "ended"


def test_the_light_is_offered_where_the_camera_has_one(opened: OpenPage, film: Path) -> None:
    write_video(film, [good()])
    page = opened()
    dialog = see_picture(page)
    expect(dialog.get_by_role("button", name="Light")).to_have_count(0)
    page.keyboard.press("Escape")
    # As Chrome on a phone tells of it.
    page.evaluate(
        """() => {
            window.asked = [];
            const track = MediaStreamTrack.prototype;
            track.getCapabilities = () => ({ torch: true, focusMode: ["continuous"] });
            track.applyConstraints = async ({ advanced }) => { window.asked.push(...advanced); };
        }"""
    )
    see_picture(page)
    light = dialog.get_by_role("button", name="Light")
    light.click()
    expect(light).to_have_attribute("aria-pressed", "true")
    light.click()
    expect(light).to_have_attribute("aria-pressed", "false")
    asked = [{"focusMode": "continuous"}, {"torch": True}, {"torch": False}]
    assert page.evaluate("() => window.asked") == asked


def test_one_of_several_cameras_is_chosen(playwright: Playwright, service: ServiceProcess) -> None:
    two = "--use-fake-device-for-media-stream=device-count=2"
    browser = playwright.chromium.launch(
        executable_path=CHROMIUM, args=[*ARGUMENTS, two, "--use-fake-ui-for-media-stream"]
    )
    context = browser.new_context(locale="en-GB")
    context.set_default_timeout(DEADLINE_S * 1000)
    page = context.new_page()
    page.goto(service.url)
    page.locator("body.loaded").wait_for()
    see_picture(page)
    choice = page.get_by_label("Camera", exact=True)
    expect(choice.locator("option")).to_have_count(2)
    before = page.evaluate("() => window.seen.getSettings().deviceId")
    choice.select_option(index=1 - choice.evaluate("(choice) => choice.selectedIndex"))
    expect(page.locator("video")).to_be_visible()
    page.evaluate("() => { window.first = window.seen; }")
    page.evaluate(REMEMBER)
    assert page.evaluate("() => window.first.readyState") == "ended"
    assert page.evaluate("() => window.seen.getSettings().deviceId") != before
    browser.close()
