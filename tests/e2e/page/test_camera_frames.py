"""What the camera says of a frame: sharpness, the extent of the lesion, glare."""

import base64
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import Page

from tests.e2e.page.scenes import SKIN, good, sharpness


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
