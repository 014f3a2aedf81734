"""What is refused before a pixel is decoded."""

import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from PIL import Image

from lentigo_contract.errors import (
    EmptyImageError,
    ImageBoundsError,
    ImageTooLargeError,
    UnsupportedImageError,
)
from lentigo_contract.imaging.read import ImageLimits, read_image
from tests.contract.repository.twins import PLAIN, lossless
from tests.fakes import jpeg_bytes, lesion_image
from tests.images import encoded, png_chunk, png_file, png_header, tiff_file


@contextmanager
def in_no_time() -> Iterator[None]:
    """Processor time, so that a busy machine changes nothing; decoding would take minutes."""
    before = time.process_time()
    yield
    assert time.process_time() - before < 0.5


def of_size(width: int, height: int) -> bytes:
    return lossless(Image.new("L", (width, height), 200))


def test_no_bytes_at_all() -> None:
    with pytest.raises(EmptyImageError, match="empty"):
        read_image(b"")


def test_as_many_bytes_as_allowed_and_one_more() -> None:
    data = lossless(PLAIN)

    read_image(data, ImageLimits(max_bytes=len(data)))
    with pytest.raises(ImageTooLargeError, match="at most"):
        read_image(data, ImageLimits(max_bytes=len(data) - 1))


def test_too_many_bytes_are_not_even_looked_at() -> None:
    with pytest.raises(ImageTooLargeError):
        read_image(b"no image" * 10, ImageLimits(max_bytes=10))


@pytest.mark.parametrize("size", [(32, 32), (32, 400), (400, 32), (100, 100), (400, 25)])
def test_sides_and_pixels_at_the_limit_and_beyond(size: tuple[int, int]) -> None:
    limits = ImageLimits(max_pixels=40_000, max_side=400, min_side=25)
    width, height = size

    read_image(of_size(*size), limits)
    for smaller in (
        ImageLimits(max_pixels=width * height - 1, max_side=400, min_side=25),
        ImageLimits(max_pixels=40_000, max_side=max(size) - 1, min_side=25),
        ImageLimits(max_pixels=40_000, max_side=400, min_side=min(size) + 1),
    ):
        with pytest.raises(ImageBoundsError, match=f"{width} x {height}"):
            read_image(of_size(*size), smaller)


@pytest.mark.parametrize("size", [(1, 1), (31, 500), (500, 31), (16_385, 32), (32, 16_385)])
def test_sides_out_of_bounds_by_default(size: tuple[int, int]) -> None:
    with pytest.raises(ImageBoundsError):
        read_image(of_size(*size))


@pytest.mark.parametrize("size", [(32, 32), (16_384, 32), (32, 16_384)])
def test_sides_at_the_bounds_by_default(size: tuple[int, int]) -> None:
    assert (read_image(of_size(*size)).width, read_image(of_size(*size)).height) == size


def huge_png() -> bytes:
    return png_file(png_header(30_000, 30_000), png_chunk(b"IDAT", zlib.compress(bytes(100_000))))


def huge_jpeg() -> bytes:
    jpeg = jpeg_bytes()
    frame = jpeg.index(b"\xff\xc0")
    return jpeg[: frame + 5] + struct.pack(">HH", 30_000, 30_000) + jpeg[frame + 9 :]


def huge_bmp() -> bytes:
    bmp = encoded(PLAIN, "BMP")
    return bmp[:18] + struct.pack("<ii", 30_000, 30_000) + bmp[26:]


def huge_webp() -> bytes:
    webp = encoded(PLAIN.convert("RGBA"), "WEBP", exif=b"Exif\x00\x00MM\x00*")
    assert webp[12:16] == b"VP8X"
    return webp[:24] + (16_382).to_bytes(3, "little") * 2 + webp[30:]


def huge_tiff() -> bytes:
    tags = {256: 30_000, 257: 30_000, 258: 8, 259: 8, 262: 1, 273: 8, 277: 1, 279: 100}
    return tiff_file(tags, zlib.compress(bytes(100_000)))


@pytest.mark.parametrize("bomb", [huge_png, huge_jpeg, huge_bmp, huge_webp, huge_tiff])
def test_a_bomb_is_refused_by_its_header(bomb: object) -> None:
    assert callable(bomb)
    data = bomb()

    with in_no_time(), pytest.raises(ImageBoundsError, match=r"[Ss]end a smaller one"):
        read_image(data)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_more_pixels_than_allowed_are_refused_below_pillows_own_limit_too() -> None:
    data = png_file(png_header(10_000, 10_000), png_chunk(b"IDAT", b""))

    with in_no_time(), pytest.raises(ImageBoundsError, match="10000 x 10000"):
        read_image(data)


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"a lesion, described in words" * 100,
        b"BMW is a maker of cars and no image" * 10,
        b"%PDF-1.7 " + bytes(1000),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"RIFF\x00\x00\x00\x00WAVEfmt " + bytes(100),
        bytes(1000),
        encoded(PLAIN, "GIF"),
        encoded(PLAIN, "PPM"),
        encoded(PLAIN, "ICO"),
        encoded(PLAIN, "JPEG2000"),
        encoded(PLAIN, "AVIF"),
        encoded(PLAIN, "TIFF", big_tiff=True),
    ],
    ids=[
        "x",
        "text",
        "BM",
        "PDF",
        "SVG",
        "WAV",
        "zeros",
        "GIF",
        "PPM",
        "ICO",
        "J2K",
        "AVIF",
        "Big",
    ],
)
def test_what_is_not_an_image_we_read(data: bytes) -> None:
    with pytest.raises(UnsupportedImageError, match="Send JPEG, PNG, WebP, BMP or TIFF"):
        read_image(data)


FRAMES = [lesion_image(seed, "nv", (64, 48)) for seed in range(3)]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animations_and_pages_are_refused(kind: str) -> None:
    moving = encoded(FRAMES[0], kind, save_all=True, append_images=FRAMES[1:])

    with pytest.raises(UnsupportedImageError, match="Send"):
        read_image(moving)


def test_an_animation_of_one_frame_is_a_still_image() -> None:
    still = lossless(FRAMES[0])
    one = encoded(FRAMES[0], "PNG", save_all=True)

    assert (read_image(one).pixels == read_image(still).pixels).all()
