"""Files that would take far more work than their size; each took seconds to hours before."""

import struct
import time
import zlib
from collections.abc import Callable

import pytest
from PIL import Image

from tests.contract.imaging.victims import RATIONAL, survive, tiff_with_entries
from tests.contract.repository.twins import PLAIN, lossless
from tests.fakes import jpeg_bytes
from tests.images import (
    Tags,
    encoded,
    png_chunk,
    png_file,
    png_header,
    tiff_file,
    with_jpeg_segments,
    with_png_chunks,
)

# Damaged files make Pillow warn, which tests turn into errors; the service lets it warn.
pytestmark = pytest.mark.filterwarnings("ignore")


def many_scans() -> bytes:
    whole = encoded(Image.new("L", (2000, 2000)), "JPEG", progressive=True)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + last * 20_000 + b"\xff\xd9"


def many_segments() -> bytes:
    return with_jpeg_segments(jpeg_bytes(), *[(0xE1, b"Exif\x00\x00abcdef")] * 200_000)


def filling() -> bytes:
    whole = jpeg_bytes()
    return whole[:2] + b"\xff" * 4_000_000 + whole[2:]


def many_chunks() -> bytes:
    return with_png_chunks(lossless(PLAIN), png_chunk(b"juNk") * 400_000)


def many_empty_pixel_chunks() -> bytes:
    return png_file(png_header(64, 64), png_chunk(b"IDAT") * 400_000)


def far_more_pixels_than_said() -> bytes:
    deflate = zlib.compressobj()
    zeros = bytes(2**20)
    stream = b"".join(deflate.compress(zeros) for _ in range(64)) + deflate.flush()
    return png_file(png_header(64, 64), png_chunk(b"IDAT", stream))


def text_that_inflates() -> bytes:
    bomb = png_chunk(b"zTXt", b"a\x00\x00" + zlib.compress(bytes(2**24)))
    return with_png_chunks(lossless(PLAIN), *[bomb] * 20)


def profile_that_inflates() -> bytes:
    bomb = png_chunk(b"iCCP", b"a\x00\x00" + zlib.compress(bytes(2**25), 1))
    return with_png_chunks(lossless(PLAIN), bomb)


def profiles_that_inflate() -> bytes:
    bomb = png_chunk(b"iCCP", b"a\x00\x00" + zlib.compress(bytes(2**20 - 64), 9))
    return with_png_chunks(lossless(PLAIN), *[bomb] * 2000)


def exif_that_points_at_itself() -> bytes:
    entries = b"".join(struct.pack("<HHII", tag, 7, 60_000, 0) for tag in range(1, 4000))
    block = b"II*\x00" + struct.pack("<IH", 8, 3999) + entries + bytes(4)
    return with_jpeg_segments(jpeg_bytes(), (0xE1, b"Exif\x00\x00" + block))


def run_lengths() -> bytes:
    header = struct.pack("<IIIHHIIIIII", 40, 4000, 2500, 1, 8, 1, 0, 0, 0, 256, 0)
    start = b"BM" + struct.pack("<IHHI", 0, 0, 0, 54 + 1024)
    return start + header + bytes(1024) + b"\x01\x05" * 2_000_000


def pages_without_end() -> bytes:
    page = struct.Struct("<HHHIII")
    return b"II*\x00\x08\x00\x00\x00" + b"".join(
        page.pack(1, 256, 4, 1, 100, 8 + page.size * (number + 1)) for number in range(200_000)
    )


GREY_TIFF: Tags = {256: 8000, 257: 7900, 258: 8, 259: 1, 262: 1, 277: 1}


def strips_on_top_of_each_other() -> bytes:
    count = 100_000
    tags: Tags = {**GREY_TIFF, 273: (8,) * count, 278: 3950, 279: (100,) * count}
    return tiff_file(tags, bytes(1_000_000))


def strips_that_all_are_the_whole_file() -> bytes:
    content = zlib.compress(bytes(1_000_000), 0)
    count = 7900
    tags: Tags = {**GREY_TIFF, 259: 8, 273: (8,) * count, 278: 1, 279: (len(content),) * count}
    return tiff_file(tags, content)


def a_tile_far_larger_than_the_image() -> bytes:
    content = zlib.compress(bytes(2**25), 1)
    tags = {256: 64, 257: 64, 258: 8, 259: 8, 262: 1, 277: 1, 322: 30_000, 323: 30_000}
    return tiff_file({**tags, 324: 8, 325: len(content)}, content)


def tiles_of_a_pixel() -> bytes:
    count = 500_000
    tags: Tags = {256: 1000, 257: 500, 258: 8, 259: 1, 262: 1, 277: 1, 322: 1, 323: 1}
    return tiff_file({**tags, 324: (8,) * count, 325: (1,) * count}, bytes(count))


FRACTIONS = 400_000

MANY_FRACTIONS = struct.pack("<II", 1, 3) * FRACTIONS


def resolution_of_many_fractions() -> bytes:
    return tiff_with_entries((282, RATIONAL, FRACTIONS, 8), content=MANY_FRACTIONS)


def directories_of_a_camera() -> bytes:
    directory = struct.pack("<HHHIII", 1, 33434, RATIONAL, FRACTIONS, 8, 0)
    place = 8 + len(MANY_FRACTIONS)
    pointers = ((34665, 4, 1, place), (34853, 4, 1, place))
    return tiff_with_entries(*pointers, content=MANY_FRACTIONS + directory)


@pytest.mark.parametrize(
    "bomb",
    [
        many_scans,
        many_segments,
        filling,
        many_chunks,
        many_empty_pixel_chunks,
        far_more_pixels_than_said,
        text_that_inflates,
        profile_that_inflates,
        profiles_that_inflate,
        exif_that_points_at_itself,
        run_lengths,
        pages_without_end,
        strips_on_top_of_each_other,
        strips_that_all_are_the_whole_file,
        a_tile_far_larger_than_the_image,
        tiles_of_a_pixel,
        resolution_of_many_fractions,
        directories_of_a_camera,
    ],
)
def test_work_far_beyond_the_size_is_not_done(bomb: Callable[[], bytes]) -> None:
    data = bomb()

    before = time.process_time()
    survive(data)

    assert time.process_time() - before < 1
