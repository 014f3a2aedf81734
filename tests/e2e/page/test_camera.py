"""The live camera: advice before the picture, the sharpest of a burst, and let go in time."""

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import Browser, Locator, Page, Playwright, expect

from tests.e2e.page.conftest import ARGUMENTS, CHROMIUM, Visit
from tests.e2e.page.hands import button, predict, scrolls_sideways, violations
from tests.e2e.service_process import DEADLINE_S, ServiceProcess
from tests.fakes import lesion_image

WIDTH, HEIGHT = 640, 480
# Where the frame lies in a video of that size.
FRAME: Final = (45, 34, 595, 447)
SKIN: Final = (226, 190, 170)

GOOD: Final = "Focus and light are good."

# Shut whatever happens: the track of the camera, remembered while it is open.
REMEMBER = "() => { window.seen = document.querySelector('video').srcObject.getVideoTracks()[0]; }"
STATE = "() => window.seen.readyState"


def good() -> Image.Image:
    return lesion_image(5, "mel", (WIDTH, HEIGHT))


def far() -> Image.Image:
    """A lesion that is small in the frame, on skin with its grain."""
    grain = np.random.default_rng(1).normal(0, 6, (HEIGHT // 4, WIDTH // 4, 1))
    pixels = np.clip(np.array(SKIN) + grain, 0, 255).astype(np.uint8)
    image = Image.fromarray(pixels).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    ImageDraw.Draw(image).ellipse((300, 220, 340, 260), fill=(90, 55, 40))
    return image


def glaring() -> Image.Image:
    image = good()
    ImageDraw.Draw(image).ellipse((260, 160, 340, 240), fill="white")
    return image


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


def sharpness(pixels: npt.NDArray[np.float32]) -> float:
    """Variance of the Laplacian of luma."""
    luma = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    inner = luma[1:-1, 1:-1]
    around = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    return float((around - 4 * inner).var())


def in_frame(image: Image.Image) -> npt.NDArray[np.float32]:
    return np.asarray(image.crop(FRAME), np.float32)


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


def look(page: Page, image: Image.Image) -> dict[str, Any]:
    """What `checks.js` and `sharpness.js` say of an image."""
    rgba = image.resize((224, 224), Image.Resampling.BILINEAR).convert("RGBA").tobytes()
    found: dict[str, Any] = page.evaluate(
        """async ([data, width, height]) => {
            const modules = "/page/modules/camera";
            const { lookAt, glareShare } = await import(`${modules}/checks.js`);
            const { lumaOf, varianceOfLaplacian } = await import(`${modules}/sharpness.js`);
            const bytes = Uint8ClampedArray.from(atob(data), (letter) => letter.charCodeAt(0));
            return {
                ...lookAt(bytes, width, height),
                glare: glareShare(bytes),
                sharpness: varianceOfLaplacian(lumaOf(bytes), 224, 224),
            };
        }""",
        [base64.b64encode(rgba).decode(), image.width, image.height],
    )
    return found


def test_sharpness_is_the_variance_of_the_laplacian(module_page: Page) -> None:
    images = [good().filter(ImageFilter.GaussianBlur(radius)) for radius in (0, 1, 2, 4)]
    found = [look(module_page, image)["sharpness"] for image in images]
    expected = [sharpness(np.asarray(image.resize((224, 224), 2), np.float32)) for image in images]
    assert found == pytest.approx(expected, rel=1e-3)
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("share", [0.05, 0.15, 0.4])
def test_the_extent_of_a_lesion_is_found(module_page: Page, share: float) -> None:
    image = Image.new("RGB", (400, 300), SKIN)
    half = (share / np.pi) ** 0.5
    box = ((0.5 - half) * 400, (0.5 - half) * 300, (0.5 + half) * 400, (0.5 + half) * 300)
    ImageDraw.Draw(image).ellipse(box, fill=(110, 70, 50))
    # Hairs and the rim of a lens are no lesion.
    for x in (40, 150, 330):
        ImageDraw.Draw(image).line((x, 0, x + 30, 299), fill=(30, 20, 15), width=2)
    ImageDraw.Draw(image).rectangle((0, 0, 399, 9), fill="black")
    extent = look(module_page, image)["extent"]
    assert extent["area"] == pytest.approx(share, rel=0.2)
    assert extent["width"] == pytest.approx(2 * half, rel=0.15)
    assert extent["height"] == pytest.approx(2 * half, rel=0.15)


def test_plain_skin_has_no_lesion(module_page: Page) -> None:
    shade = np.linspace(0.75, 1, 224, dtype=np.float32)[:, None, None]
    grain = np.random.default_rng(3).normal(0, 12, (224, 224, 1))
    pixels = np.clip(np.array(SKIN) * shade + grain, 0, 255).astype(np.uint8)
    found = look(module_page, Image.fromarray(np.broadcast_to(pixels, (224, 224, 3)).copy()))
    assert (found["issue"], found["extent"]) == ("no-lesion", None)


def test_only_white_is_glare(module_page: Page) -> None:
    image = Image.new("RGB", (224, 224), (255, 255, 240))
    ImageDraw.Draw(image).rectangle((0, 0, 223, 22), fill="white")
    assert look(module_page, image)["glare"] == pytest.approx(23 / 224)


@pytest.mark.parametrize(
    ("size", "frame"),
    [
        ((640, 480), (45, 34, 550, 413)),
        ((1920, 1080), (341, 76, 1238, 929)),
        ((480, 640), (34, 165, 413, 310)),
    ],
)
def test_the_frame_lies_in_the_middle(
    module_page: Page, size: tuple[int, int], frame: tuple[int, int, int, int]
) -> None:
    found = module_page.evaluate(
        """async ([width, height]) => {
            const { frameIn } = await import("/page/modules/camera/frame.js");
            const { x, y, width: wide, height: high } = frameIn(width, height);
            return [x, y, wide, high];
        }""",
        list(size),
    )
    assert tuple(found) == frame
