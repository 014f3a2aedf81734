"""An image shrunk in strips is equal, to the bit, to one that is copied whole."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from lentigo_contract.imaging import read, shrink
from lentigo_contract.imaging.read import MODEL_SIDE, ModelImage, read_image
from tests.fakes import lesion_image
from tests.images import encoded, exif_block, with_jpeg_segments

LESION = lesion_image(3, "akiec", (413, 271))
TALL = lesion_image(4, "mel", (233, 700))
ALPHA = Image.fromarray(
    (np.add.outer(np.arange(271) * 3, np.arange(413) * 7) % 256).astype(np.uint8)
)


def see_through(image: Image.Image = LESION) -> Image.Image:
    faded = image.convert("RGBA")
    faded.putalpha(ALPHA.resize(image.size))
    return faded


def wide_grey() -> Image.Image:
    return Image.fromarray(np.asarray(LESION.convert("L")).astype(np.uint16) * 251 + 17)


def keyed(image: Image.Image, colour: object) -> Image.Image:
    image.info["transparency"] = colour
    return image


MODES: dict[str, Callable[[], Image.Image]] = {
    "1": lambda: LESION.convert("1"),
    "L": lambda: LESION.convert("L"),
    "L with a hidden grey": lambda: keyed(LESION.convert("L"), 128),
    "LA": lambda: see_through().convert("LA"),
    "P": lambda: LESION.quantize(60),
    "P with a hidden colour": lambda: keyed(LESION.quantize(60), 7),
    "P with an alpha table": lambda: keyed(LESION.quantize(60), bytes(range(0, 240, 4))),
    "PA": lambda: see_through().convert("PA"),
    "I;16": wide_grey,
    "I;16 with a hidden grey": lambda: keyed(wide_grey(), 128 * 251 + 17),
    "RGB": lambda: LESION,
    "RGB, tall": lambda: TALL,
    "RGB with a hidden colour": lambda: keyed(LESION.copy(), LESION.getpixel((5, 5))),
    "RGBA": see_through,
    "RGBA, tall": lambda: see_through(TALL),
    "RGBA, as wide as the network": lambda: see_through(TALL.resize((224, 900))),
    "RGBA, as high as the network": lambda: see_through(TALL.resize((900, 224))),
    "RGBA, smaller than the network": lambda: see_through(TALL.resize((90, 70))),
    "RGBA, on the edge to tall": lambda: see_through(TALL.resize((300, 376))),
    "RGBA, just tall": lambda: see_through(TALL.resize((300, 377))),
    "RGBA, narrow": lambda: see_through(TALL.resize((60, 900))),
    "CMYK": lambda: LESION.convert("CMYK"),
    "YCbCr": lambda: LESION.convert("YCbCr"),
    "LAB": lambda: Image.merge("LAB", LESION.split()),
}


def copied_whole(image: Image.Image, orientation: int, side: int) -> Image.Image:
    """The plain path: convert all of it, turn all of it, resize all of it."""
    whole = shrink.in_eight_bits(image)
    if orientation > 1:
        whole = whole.transpose(shrink._TRANSPOSITIONS[orientation])
    return whole.resize((side, side), Image.Resampling.BILINEAR)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("strip_pixels", [2000, 50_021])
def test_every_mode_and_orientation(mode: str, orientation: int, strip_pixels: int) -> None:
    image = MODES[mode]()

    found = shrink.shrink(image, orientation, MODEL_SIDE, strip_pixels)

    expected = copied_whole(image, orientation, MODEL_SIDE)
    assert (found.mode, found.size) == (expected.mode, expected.size)
    assert found.tobytes() == expected.tobytes()


# More than one strip each, in every format that keeps its mode.
LARGE = (1100, 900)
FILES = {
    "PNG RGBA": lambda: encoded(see_through().resize(LARGE), "PNG", exif=exif_block(6)),
    "PNG LA": lambda: encoded(see_through().convert("LA").resize(LARGE), "PNG"),
    "PNG P": lambda: encoded(LESION.resize(LARGE).quantize(60), "PNG", transparency=3),
    "PNG I;16": lambda: encoded(wide_grey().resize(LARGE), "PNG"),
    "PNG RGB": lambda: encoded(LESION.resize(LARGE), "PNG", exif=exif_block(3)),
    "PNG 1": lambda: encoded(LESION.resize(LARGE).convert("1"), "PNG"),
    "TIFF RGBA": lambda: encoded(see_through().resize(LARGE), "TIFF", compression="tiff_lzw"),
    "TIFF CMYK": lambda: encoded(
        LESION.resize(LARGE).convert("CMYK"), "TIFF", compression="tiff_adobe_deflate"
    ),
    "TIFF I;16": lambda: encoded(wide_grey().resize(LARGE), "TIFF"),
    "WEBP": lambda: encoded(see_through().resize(LARGE), "WEBP", exif=exif_block(8)),
    "WEBP, lossless": lambda: encoded(see_through().resize(LARGE), "WEBP", lossless=True, method=0),
    "BMP": lambda: encoded(LESION.resize(LARGE).quantize(60), "BMP"),
    "JPEG": lambda: with_jpeg_segments(
        encoded(LESION.resize((2700, 2300)), "JPEG"), (0xE1, exif_block(6))
    ),
    "JPEG CMYK": lambda: encoded(LESION.resize((1100, 900)).convert("CMYK"), "JPEG"),
    "JPEG, an ordinary one": lambda: encoded(lesion_image(1, "nv", (600, 450)), "JPEG"),
}


@pytest.mark.parametrize("kind", FILES)
def test_every_format_gives_the_network_the_same_pixels(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = FILES[kind]()

    in_strips = read_image(data)
    monkeypatch.setattr(read, "shrink", copied_whole)
    whole = read_image(data)

    assert described(in_strips) == described(whole)


def described(image: ModelImage) -> tuple[str, int, int, bytes]:
    return image.format, image.width, image.height, image.pixels.tobytes()
