"""Images on their way into the page, whichever way and whatever they are."""

import base64
import io
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.e2e.page.hands import (
    HEIC,
    button,
    choose,
    file,
    lesion,
    open_image,
    predict,
    see_problem,
    see_result,
    show_map,
)
from tests.fakes import lesion_image
from tests.images import encoded


def noise(width: int, height: int) -> Image.Image:
    """What no format compresses well; its left half is darker, so there is something to see."""
    drawn = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    drawn[:, : width // 2] //= 2
    return Image.fromarray(drawn)


def sent(page: Page) -> bytes:
    """Press Predict, and give what left the browser."""
    # The developer tools do not tell the content of a Blob.
    page.evaluate(
        """() => {
            const fetched = window.fetch;
            window.fetch = (path, request) => {
                window.sent = request.body;
                return fetched(path, request);
            };
        }"""
    )
    predict(page)
    encoded_url = page.evaluate(
        """() => new Promise((done) => {
            const reader = new FileReader();
            reader.onload = () => done(reader.result);
            reader.readAsDataURL(window.sent);
        })"""
    )
    return base64.b64decode(encoded_url.partition(",")[2])


def drag(page: Page, kind: str, path: Path) -> None:
    """Drag a file over the page from outside the browser, as the mouse would."""
    devtools = page.context.new_cdp_session(page)
    data: Mapping[str, object] = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    event = {"type": kind, "x": 400, "y": 300, "data": data}
    devtools.send("Input.dispatchDragEvent", event)


def test_an_image_is_dropped_anywhere(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "dropped.jpg"
    path.write_bytes(lesion()["buffer"])
    drag(page, "dragEnter", path)
    drag(page, "dragOver", path)
    expect(page.locator("#veil")).to_be_visible()
    drag(page, "drop", path)
    expect(page.locator("#veil")).to_be_hidden()
    expect(page.locator("figcaption .name")).to_have_text("dropped.jpg")
    predict(page)


def test_an_image_is_pasted(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async () => {
            const canvas = new OffscreenCanvas(300, 225);
            canvas.getContext("2d").fillRect(0, 0, 150, 225);
            const image = await canvas.convertToBlob({type: "image/png"});
            await navigator.clipboard.write([new ClipboardItem({"image/png": image})]);
        }"""
    )
    page.keyboard.press("Control+V")
    expect(page.locator(".frame img")).to_have_js_property("naturalWidth", 300)
    predict(page)


def test_pasted_text_is_ignored(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("() => navigator.clipboard.writeText('a patient')")
    page.keyboard.press("Control+V")
    choose(page, lesion())
    expect(page.locator(".item")).to_have_count(1)


def test_the_same_file_can_be_chosen_again(page: Page) -> None:
    choose(page, lesion())
    button(page, "Remove").click()
    choose(page, lesion())
    predict(page)


def test_twelve_files_of_which_three_are_no_images(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method))
    images = [lesion(code, seed) for code in ("nv", "mel", "bcc") for seed in range(3)]
    others = [
        file("letter.pdf", b"%PDF-1.7"),
        file("empty.jpg", b""),
        file("photo.heic", HEIC),
    ]
    choose(page, *images[:5], *others, *images[5:])
    expect(page.locator(".item.failed")).to_have_count(3)
    button(page, "Predict all").click()
    expect(page.locator(".item.done")).to_have_count(9)
    assert asked.count("POST") == 9
    open_image(page, 5)
    see_problem(page, "This is not an image")
    page.locator(".item").nth(5).focus()
    page.keyboard.press("ArrowDown")
    see_problem(page, "This file is empty")
    page.keyboard.press("ArrowDown")
    expect(see_problem(page, "HEIC images cannot be read")).to_contain_text("cannot read HEIC")
    expect(page.locator(".frame.unseen")).to_have_text("No preview")
    page.keyboard.press("Delete")
    expect(page.locator(".item")).to_have_count(11)
    expect(page.locator(".item:focus .name")).to_have_text(images[5]["name"])
    expect(page.locator("figcaption .name")).to_have_text(images[5]["name"])


def test_a_photograph_is_sent_smaller_and_upright(page: Page) -> None:
    drawn = lesion_image(1, "nv", (400, 300)).resize((4000, 3000))
    exif = drawn.getexif()
    exif[0x0112] = 6
    choose(page, file("photo.jpg", encoded(drawn, "JPEG", exif=exif)))
    data = sent(page)
    assert len(data) < 2**20
    with Image.open(io.BytesIO(data)) as received:
        assert received.size == (1200, 1600)
        assert not received.getexif()
    expect(page.locator(".origins")).to_contain_text(re.compile("3000 . 4000 to 1200 . 1600"))


def test_a_photograph_of_40_megabytes_is_scaled_down(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    noise(4800, 3600).save(path, quality=98, subsampling=0)
    assert path.stat().st_size > 40_000_000
    page.locator("#choose").set_input_files(path)
    assert 10_000 < len(sent(page)) < 4_000_000


def test_a_photograph_that_is_cut_off_is_not_answered_as_if_it_were_whole(page: Page) -> None:
    whole = encoded(lesion_image(1, "nv", (400, 300)).resize((4000, 3000)), "JPEG")
    choose(page, file("photo.jpg", whole[: len(whole) // 2]))
    expect(page.locator(".look img")).to_have_js_property("naturalWidth", 4000)
    button(page, "Predict").click()
    see_problem(page, "This image is damaged")


def test_an_image_that_fits_is_sent_as_it_is(page: Page) -> None:
    data = encoded(noise(1200, 1000), "PNG")
    choose(page, file("sharp.png", data))
    assert sent(page) == data
    expect(page.locator(".origins")).not_to_contain_text("browser")


def test_bytes_besides_the_image_are_not_sent(page: Page) -> None:
    choose(page, file("heavy.jpg", lesion()["buffer"] + bytes(12_000_000)))
    assert 1000 < len(sent(page)) < 2**20
    expect(page.locator(".origins")).to_contain_text(re.compile("Sent as a JPEG of 600 . 450"))


def test_an_image_that_the_browser_cannot_show_is_still_answered(page: Page) -> None:
    choose(page, file("scan.tif", encoded(lesion_image(2), "TIFF")))
    expect(page.locator(".frame.unseen")).to_contain_text("cannot show this kind of image")
    predict(page)
    see_result(page)
    expect(show_map(page)).to_be_visible()


def test_too_many_bytes_that_cannot_be_scaled_are_refused_by_the_service(
    page: Page, tmp_path: Path
) -> None:
    path = tmp_path / "scan.tif"
    path.write_bytes(b"II*\0" + bytes(25 * 2**20))
    page.locator("#choose").set_input_files(path)
    button(page, "Predict").click()
    problem = see_problem(page, "This image is too large")
    expect(problem).to_contain_text("Save it with fewer pixels, or as a JPEG")


def test_an_image_of_too_few_pixels_is_refused_by_the_service(page: Page) -> None:
    choose(page, file("icon.png", encoded(lesion_image(1).resize((20, 20)), "PNG")))
    button(page, "Predict").click()
    problem = see_problem(page, "This image is too large or too small")
    expect(problem).to_contain_text("Each side needs at least 32 pixels")


KINDS = {
    "This is a video": file("film.mp4", b"\0\0\0\x20ftypisom" + bytes(200)),
    "This is a DICOM file": file("lesion.dcm", bytes(128) + b"DICM" + bytes(200)),
    "AVIF images cannot be read": file("photo.avif", b"\0\0\0\x20ftypavif" + bytes(200)),
    "HEIC images cannot be read": file("photo.jpg", HEIC),
    "This is not an image": file("letter.jpg", b"Dear colleague, thank you for sending"),
    "This file is empty": file("empty.png", b""),
}


@pytest.mark.parametrize("title", KINDS)
def test_what_is_no_image_is_named_and_never_sent(page: Page, title: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method))
    choose(page, KINDS[title])
    problem = see_problem(page, title)
    expect(problem.locator("p").first).to_contain_text(re.compile(r"\bnot\b|Choose"))
    expect(button(page, "Predict")).to_have_count(0)
    choose(page, lesion())
    predict(page)
    assert asked.count("POST") == 1


@pytest.mark.parametrize("start", [b"\x1a\x45\xdf\xa3", b"RIFF\0\0\0\0AVI ", b"\0\0\0\x14ftypqt  "])
def test_videos_are_known_by_their_first_bytes(page: Page, start: bytes) -> None:
    choose(page, file("lesion.png", start + bytes(100)))
    see_problem(page, "This is a video")


def test_a_panorama_of_100_megapixels_is_refused_before_it_is_decoded(page: Page) -> None:
    panorama = encoded(Image.new("1", (20_000, 5_000)), "PNG")
    choose(page, file("panorama.png", panorama), lesion())
    problem = see_problem(page, "This image has too many pixels")
    expect(problem).to_contain_text("It has 100 megapixels, and 64 are the most.")
    assert (
        page.locator("img[src^=blob]").evaluate_all(
            "images => images.filter((image) => image.naturalWidth > 10000).length"
        )
        == 0
    )
    open_image(page, 1)
    predict(page)


def test_a_file_that_was_deleted_after_it_was_chosen_says_so(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "gone.jpg"
    path.write_bytes(lesion()["buffer"])
    page.locator("#choose").set_input_files(path)
    expect(page.locator(".look img")).to_have_js_property("naturalWidth", 600)
    path.unlink()
    button(page, "Predict").click()
    see_problem(page, "This file cannot be opened")
