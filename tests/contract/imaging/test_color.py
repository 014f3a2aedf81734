"""However the colours are stored, the network gets those of the plain RGB twin."""

import numpy as np
import pytest
from PIL import Image, ImageCms

from lentigo_contract.errors import UnsupportedImageError
from tests.contract.repository.twins import PLAIN, difference, lossless, pixels_of, plain_pixels
from tests.fakes import jpeg_bytes
from tests.images import (
    Tags,
    encoded,
    grey_profile,
    png_chunk,
    png_file,
    png_header,
    png_pixels,
    rgb_profile,
    tiff_file,
    with_png_chunks,
)

GREY = PLAIN.convert("L")
GREY_PIXELS = np.asarray(GREY)
WIDE = np.asarray(PLAIN).astype(np.uint16) * 257


def test_grey_is_shown_as_equal_channels() -> None:
    expected = plain_pixels(GREY.convert("RGB"))

    assert np.array_equal(pixels_of(lossless(GREY)), expected)
    assert difference(pixels_of(encoded(GREY, "JPEG", quality=95)), expected)[0] < 1.5


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_one_bit_is_black_and_white(kind: str) -> None:
    drawing = GREY.point(lambda level: 255 if level > 150 else 0).convert("1")

    assert np.array_equal(pixels_of(encoded(drawing, kind)), plain_pixels(drawing.convert("RGB")))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_a_palette_is_looked_up(kind: str) -> None:
    few = PLAIN.quantize(64)

    assert np.array_equal(pixels_of(encoded(few, kind)), plain_pixels(few.convert("RGB")))


# Sixteen bits


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_grey_tiff_equals_its_twin(order: str) -> None:
    wide = (GREY_PIXELS.astype(np.uint16) * 257).astype(order + "u2")
    height, width = GREY_PIXELS.shape
    tiff = tiff_file(
        {256: width, 257: height, 258: 16, 259: 1, 262: 1, 273: 8, 277: 1, 279: wide.nbytes},
        wide.tobytes(),
        order,
    )

    assert np.array_equal(pixels_of(tiff), plain_pixels(GREY.convert("RGB")))


@pytest.mark.parametrize("shift", [0, 100, 128])
def test_sixteen_bit_grey_png_is_rounded(shift: int) -> None:
    wide = np.minimum(GREY_PIXELS.astype(np.uint32) * 257 + shift, 65535).astype(np.uint16)

    pixels = pixels_of(lossless(Image.fromarray(wide)))

    assert np.array_equal(pixels, plain_pixels(GREY.convert("RGB")))


def test_the_lightest_and_the_darkest_stay_what_they_are() -> None:
    wide = np.zeros((64, 64), np.uint16)
    wide[:, 32:] = 65535

    pixels = pixels_of(lossless(Image.fromarray(wide)))

    assert (pixels[:, :110] == 0).all()
    assert (pixels[:, 114:] == 255).all()


def test_sixteen_bit_colour_png_equals_its_twin() -> None:
    png = png_file(png_header(*PLAIN.size, depth=16), png_pixels(WIDE.astype(">u2")))

    assert np.array_equal(pixels_of(png), plain_pixels())


def test_sixteen_bit_colour_with_alpha_equals_its_twin() -> None:
    opaque = np.dstack([WIDE, np.full(WIDE.shape[:2], 65535, np.uint16)])
    png = png_file(png_header(*PLAIN.size, depth=16, colour=6), png_pixels(opaque.astype(">u2")))

    assert np.array_equal(pixels_of(png), plain_pixels())


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_colour_tiff_equals_its_twin(order: str) -> None:
    width, height = PLAIN.size
    content = WIDE.astype(order + "u2").tobytes()
    tags: Tags = {256: width, 257: height, 258: (16, 16, 16), 259: 1, 262: 2, 273: 8, 277: 3}

    tiff = tiff_file({**tags, 279: len(content)}, content, order)

    assert np.array_equal(pixels_of(tiff), plain_pixels())


@pytest.mark.parametrize(
    ("bits", "photometric", "sample_format"),
    [(12, 1, 1), (16, 0, 1), (16, 1, 2), (32, 1, 1), (32, 1, 3), (64, 1, 3)],
    ids=["12 bits", "white is zero", "signed", "32 bits", "floating point", "double"],
)
def test_depths_whose_black_and_white_are_in_doubt_are_refused(
    bits: int, photometric: int, sample_format: int
) -> None:
    content = bytes(64 * 64 * bits // 8)
    tags = {256: 64, 257: 64, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1}
    tags |= {279: len(content), 339: sample_format}

    with pytest.raises(UnsupportedImageError, match="Send eight"):
        pixels_of(tiff_file(tags, content))


# Alpha


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_opaque_alpha_equals_its_twin(kind: str) -> None:
    opaque = PLAIN.convert("RGBA")
    options = {"lossless": True} if kind == "WEBP" else {}

    assert np.array_equal(pixels_of(encoded(opaque, kind, **options)), plain_pixels())


def see_through() -> tuple[Image.Image, Image.Image]:
    """The lesion fading out to the right, and the same laid on white."""
    alpha = Image.linear_gradient("L").rotate(90).resize(PLAIN.size)
    fading = PLAIN.copy()
    fading.putalpha(alpha)
    share = np.asarray(alpha)[..., None] / 255
    on_white = np.asarray(PLAIN) * share + 255 * (1 - share)
    return fading, Image.fromarray(on_white.round().astype(np.uint8))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_what_is_transparent_shows_white(kind: str) -> None:
    fading, on_white = see_through()
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}

    mean, largest = difference(pixels_of(encoded(fading, kind, **options)), plain_pixels(on_white))

    assert mean < 0.6
    assert largest <= 3


def test_hidden_colours_do_not_bleed_into_what_is_shown() -> None:
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((200, 100, 50, 255), (32, 0, 64, 64))

    pixels = pixels_of(lossless(image))

    # From white to the colour, and never below it.
    assert (pixels >= (199, 99, 49)).all()


def test_grey_with_alpha_shows_white_where_it_is_transparent() -> None:
    image = Image.new("LA", (64, 64), (0, 0))
    image.paste((90, 255), (32, 0, 64, 64))

    pixels = pixels_of(lossless(image))

    assert (pixels[:, :110] == 255).all()
    assert (pixels[:, 114:] == 90).all()


def test_transparent_entries_of_a_palette_show_white() -> None:
    image = Image.new("P", (64, 64), 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.paste(1, (32, 0, 64, 64))

    pixels = pixels_of(encoded(image, "PNG", transparency=0))

    assert (pixels[:, :110] == 255).all()
    assert (pixels[:, 114:] == (40, 50, 60)).all()


@pytest.mark.parametrize(
    ("depth", "colour", "hidden"),
    [(8, 0, (77,)), (16, 0, (20_001,)), (8, 2, (1, 2, 3))],
)
def test_a_colour_declared_transparent_shows_white(
    depth: int, colour: int, hidden: tuple[int, ...]
) -> None:
    kind = ">u2" if depth == 16 else ">u1"
    stored = np.zeros((64, 64, len(hidden)), kind)
    stored[:, 32:] = hidden
    transparency = png_chunk(b"tRNS", np.array(hidden, ">u2").tobytes())

    pixels = pixels_of(
        png_file(png_header(64, 64, depth, colour), transparency, png_pixels(stored))
    )

    assert (pixels[:, :110] == 0).all()
    assert (pixels[:, 114:] == 255).all()


# CMYK and Lab


def test_a_cmyk_jpeg_is_close_to_its_twin() -> None:
    cmyk = encoded(PLAIN.convert("CMYK"), "JPEG", quality=98, subsampling=0)

    assert difference(pixels_of(cmyk), plain_pixels())[0] < 1.5


def test_a_cmyk_tiff_is_within_one_level_of_its_twin() -> None:
    cmyk = encoded(PLAIN.convert("CMYK"), "TIFF")

    # Resized as ink and not as light, so that halves round the other way.
    assert difference(pixels_of(cmyk), plain_pixels())[1] <= 1


def test_a_lab_tiff_is_close_to_its_twin() -> None:
    lab = ImageCms.profileToProfile(
        PLAIN, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None

    mean, largest = difference(pixels_of(encoded(lab, "TIFF")), plain_pixels())

    assert mean < 1.5
    assert largest < 12


# Profiles

# Adobe RGB (1998), adapted to D50 as a profile wants it.
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
ADOBE_GAMMA = 563 / 256
ADOBE_PROFILE = rgb_profile(ADOBE, ADOBE_GAMMA)
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))


def in_adobe_rgb(image: Image.Image) -> Image.Image:
    """The same colours as an Adobe RGB camera would store them, computed from the definitions."""
    stored = np.asarray(image) / 255
    # IEC 61966-2-1
    linear = np.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4)
    adobe = linear @ np.array(SRGB) @ np.linalg.inv(np.array(ADOBE))
    levels = np.clip(adobe, 0, 1) ** (1 / ADOBE_GAMMA) * 255
    return Image.fromarray(levels.round().astype(np.uint8))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "JPEG"])
def test_an_embedded_profile_is_converted(kind: str) -> None:
    options: dict[str, object] = {"lossless": True} if kind == "WEBP" else {}
    options = {"quality": 98, "subsampling": 0} if kind == "JPEG" else options
    stored = in_adobe_rgb(PLAIN)

    pixels = pixels_of(encoded(stored, kind, icc_profile=ADOBE_PROFILE, **options))

    assert difference(pixels, plain_pixels())[0] < 1.2
    # Without conversion the lesion would look pale.
    assert difference(plain_pixels(stored), plain_pixels())[0] > 5


def test_a_profile_applies_under_alpha_too() -> None:
    stored = in_adobe_rgb(PLAIN).convert("RGBA")

    pixels = pixels_of(encoded(stored, "PNG", icc_profile=ADOBE_PROFILE))

    assert difference(pixels, plain_pixels())[0] < 1.2


def test_an_srgb_profile_changes_next_to_nothing() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    mean, largest = difference(
        pixels_of(encoded(PLAIN, "PNG", icc_profile=profile)), plain_pixels()
    )

    assert mean < 0.5
    assert largest <= 2


def test_a_grey_profile_is_converted() -> None:
    linear = Image.new("L", (64, 64), 55)

    pixels = pixels_of(encoded(linear, "PNG", icc_profile=grey_profile(1.0)))

    # 55 / 255 of the light is level 128 in sRGB.
    assert np.abs(pixels.astype(int) - 128).max() <= 2


@pytest.mark.parametrize(
    "profile",
    [
        b"x",
        bytes(128),
        ADOBE_PROFILE[:200],
        ADOBE_PROFILE[:128] + b"\xff" * 300,
        grey_profile(1.0),
        bytes(5 * 2**20),
    ],
    ids=["no profile", "zeros", "cut off", "damaged", "for grey", "huge"],
)
def test_a_profile_that_cannot_be_used_does_not_cost_the_image(profile: bytes) -> None:
    jpeg = jpeg_bytes(PLAIN)

    assert np.array_equal(pixels_of(encoded(PLAIN, "PNG", icc_profile=profile)), plain_pixels())
    assert np.array_equal(pixels_of(encoded(PLAIN, "TIFF", icc_profile=profile)), plain_pixels())
    assert np.array_equal(
        pixels_of(encoded(PLAIN, "JPEG", quality=90, subsampling=0, icc_profile=profile)),
        pixels_of(jpeg),
    )


@pytest.mark.parametrize("deflated", [b"", b"not deflated", b"x\x9c\x03"])
def test_a_profile_that_does_not_inflate_does_not_cost_the_image(deflated: bytes) -> None:
    png = with_png_chunks(lossless(PLAIN), png_chunk(b"iCCP", b"name\x00\x00" + deflated))

    assert np.array_equal(pixels_of(png), plain_pixels())
