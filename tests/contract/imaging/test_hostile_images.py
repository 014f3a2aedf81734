"""Files made to hurt: cut off, mutated, or far more work than their size."""

import random
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lentigo_contract.errors import ImageError, UndecodableImageError, UnsupportedImageError
from lentigo_contract.imaging.containers import jpeg
from lentigo_contract.imaging.read import read_image
from tests.contract.repository.twins import PLAIN, lossless
from tests.fakes import jpeg_bytes, lesion_image
from tests.images import (
    Tags,
    encoded,
    exif_block,
    png_chunk,
    png_file,
    png_header,
    tiff_file,
    with_jpeg_segments,
    with_png_chunks,
)

# Damaged files make Pillow warn, which tests turn into errors; the service lets it warn.
pytestmark = pytest.mark.filterwarnings("ignore")

SMALL = lesion_image(1, "mel", (48, 40))
EXIF = Image.Exif()
EXIF[0x0112] = 6

VICTIMS = {
    "JPEG": encoded(SMALL, "JPEG", exif=EXIF, icc_profile=b"profile" * 20),
    "progressive": encoded(SMALL, "JPEG", progressive=True),
    "CMYK": encoded(SMALL.convert("CMYK"), "JPEG"),
    "PNG": encoded(SMALL, "PNG", exif=EXIF),
    "palette": encoded(SMALL.quantize(16), "PNG", transparency=3),
    "WEBP": encoded(SMALL, "WEBP", exif=EXIF),
    "lossless": encoded(SMALL.convert("RGBA"), "WEBP", lossless=True),
    "BMP": encoded(SMALL, "BMP"),
    "TIFF": encoded(SMALL, "TIFF"),
    "LZW": encoded(SMALL, "TIFF", compression="tiff_lzw"),
    "TIFF with JPEG": encoded(SMALL, "TIFF", compression="jpeg"),
}


def survive(data: bytes) -> None:
    """Read it; an image and an error of ours are both fine, and anything else is not."""
    with suppress(ImageError):
        assert read_image(data).pixels.shape == (224, 224, 3)


@pytest.mark.parametrize("kind", VICTIMS)
def test_cut_off_anywhere(kind: str) -> None:
    whole = VICTIMS[kind]
    # Every place in the headers, and then every seventh.
    for length in [*range(1, min(700, len(whole))), *range(700, len(whole), 7)]:
        survive(whole[:length])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "LZW"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_an_image_cut_off_amid_its_pixels_is_never_shown(kind: str, share: float) -> None:
    whole = VICTIMS[kind]

    with pytest.raises(UndecodableImageError, match="cut off"):
        read_image(whole[: int(len(whole) * share)])


@pytest.mark.parametrize("kind", VICTIMS)
@given(data=st.data())
@settings(max_examples=60)
def test_mutated_anywhere(kind: str, data: st.DataObject) -> None:
    victim = bytearray(VICTIMS[kind])
    places = st.integers(0, len(victim) - 1) | st.integers(0, min(200, len(victim) - 1))
    for place, value in data.draw(
        st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=8)
    ):
        victim[place] = value

    survive(bytes(victim))


@pytest.mark.parametrize("kind", VICTIMS)
def test_spliced_and_shuffled(kind: str) -> None:
    dealer = random.Random(kind)
    victim = VICTIMS[kind]
    for _ in range(40):
        start, end = sorted(dealer.sample(range(len(victim)), 2))
        piece = dealer.choice([b"", bytes(9), b"\xff" * 9, victim[start:end] * 2])
        survive(victim[:start] + piece + victim[end:])


@given(st.sampled_from([data[:12] for data in VICTIMS.values()]), st.binary(max_size=300))
def test_noise_behind_a_good_beginning(beginning: bytes, noise: bytes) -> None:
    survive(beginning + noise)


# Work far beyond the size. Each took seconds to hours before it was screened.


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


def tiff_with_entries(
    *entries: tuple[int, int, int, int], content: bytes, photometric: int = 1
) -> bytes:
    """Give a TIFF whose directory has these entries, too: tag, type, count, value."""
    tags = {256: 64, 257: 64, 258: 8, 259: 1, 262: photometric, 273: 8, 277: 1, 278: 64, 279: 4096}
    rows = sorted([(tag, 4, 1, value) for tag, value in tags.items()] + list(entries))
    return b"".join(
        (
            struct.pack("<4sI", b"II*\x00", 8 + len(content)),
            content,
            struct.pack("<H", len(rows)),
            *(struct.pack("<HHII", *row) for row in rows),
            bytes(4),
        )
    )


FRACTIONS = 400_000
MANY_FRACTIONS = struct.pack("<II", 1, 3) * FRACTIONS
RATIONAL = 5


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


def test_a_tiff_of_many_tags_shows_the_same_pixels_without_them() -> None:
    gradient = bytes(range(64)) * 64
    fractions = (282, RATIONAL, 1, 8 + len(gradient))
    texts = [(tag, 2, len(gradient), 8) for tag in (270, 305, 700, 34377)]
    plain = tiff_with_entries(content=gradient)

    read = read_image(tiff_with_entries(fractions, *texts, content=gradient + bytes(8)))

    assert np.array_equal(read.pixels, read_image(plain).pixels)
    assert len(np.unique(read.pixels)) > 60


def test_more_fill_bytes_amid_an_image_than_any_encoder_writes_are_refused() -> None:
    def filled(count: int) -> bytes:
        return VICTIMS["JPEG"][:-2] + b"\xff" * count + VICTIMS["JPEG"][-2:]

    assert read_image(filled(jpeg.MAX_FILL_BYTES - 1)).width == 40
    with pytest.raises(UndecodableImageError, match="fill bytes"):
        read_image(filled(jpeg.MAX_FILL_BYTES + 1))


@pytest.mark.parametrize("length", [1, 2, 3, 7, 64])
def test_a_jpeg_is_looked_through_piece_by_piece_and_no_marker_is_missed(
    length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = VICTIMS["progressive"] + b"behind the image"
    whole = jpeg.screen(data)

    monkeypatch.setattr(jpeg, "_SEARCHED_AT_ONCE", length)

    assert jpeg.screen(data) == whole


@pytest.mark.parametrize(
    "tags",
    [
        {257: 0},
        {278: 0},
        {256: (64, 64)},
        {273: (8, 8, 8)},
        {279: 10**9},
        {322: 16, 323: 16, 324: 8, 273: ()},
        {259: 6},
        {259: 50_001},
    ],
    ids=str,
)
def test_tiffs_that_contradict_themselves_are_survived(
    tags: Tags,
) -> None:
    plain = {256: 64, 257: 64, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 279: 4096}

    survive(tiff_file({**plain, **tags}, bytes(4096)))


def test_a_tag_given_twice_is_refused() -> None:
    tiff = tiff_file({256: 64, 257: 64, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 279: 4096}, b"")
    height = tiff.index(struct.pack("<HHI", 257, 4, 1))

    with pytest.raises(UndecodableImageError, match="directory"):
        read_image(tiff[:height] + struct.pack("<H", 256) + tiff[height + 2 :])


@pytest.mark.parametrize(("values", "says"), [(65_536, "damaged"), (65_537, "directory")])
def test_a_table_of_more_values_than_any_image_has_is_refused(values: int, says: str) -> None:
    """Up to the bound, the decoder looks at it, which takes no such palette either."""
    table = bytes(2 * 65_537)
    tiff = tiff_with_entries((320, 3, values, 8), content=table, photometric=3)

    with pytest.raises(UndecodableImageError, match=says):
        read_image(tiff)


def test_a_fax_is_refused() -> None:
    fax = encoded(PLAIN.convert("1"), "TIFF", compression="group4")

    with pytest.raises(UnsupportedImageError, match="compression 4"):
        read_image(fax)


RGB, YCBCR = 2, 6


def strips_of_garbage(compression: int, colours: int) -> bytes:
    """A TIFF with a strip for each of 400 rows."""
    strip = b"\xffgarbage"
    places = tuple(range(8, 8 + 400 * len(strip), len(strip)))
    rows: Tags = {277: 3, 278: 1, 273: places, 279: (len(strip),) * 400}
    tags: Tags = {256: 64, 257: 400, 258: (8, 8, 8), 259: compression, 262: colours, **rows}
    return tiff_file(tags, strip * 400)


@pytest.mark.parametrize("compression", [1, 5, 8, 32_946, 32_773])
def test_ycbcr_without_jpeg_is_refused_before_a_line_a_strip_is_written(
    compression: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """The decoder's library accepts such an image though it cannot read one strip of it."""
    with pytest.raises(UnsupportedImageError, match="YCbCr"):
        read_image(strips_of_garbage(compression, YCBCR))

    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("compression", "colours"), [(5, RGB), (7, RGB), (7, YCBCR), (8, RGB), (32_773, RGB)]
)
def test_a_damaged_tiff_writes_at_most_a_few_lines(
    compression: int, colours: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """The decoder's library writes them, past every handler of ours; so it must stop early."""
    with pytest.raises(UndecodableImageError):
        read_image(strips_of_garbage(compression, colours))

    assert len(capfd.readouterr().err.splitlines()) <= 3


def tiff_of_jpegs(*strips: bytes) -> bytes:
    """A TIFF 64 pixels wide with a JPEG for each 32 rows."""
    places = tuple(8 + sum(map(len, strips[:number])) for number in range(len(strips)))
    rows: Tags = {277: 3, 278: 32, 273: places, 279: tuple(map(len, strips)), 530: (2, 2)}
    tags: Tags = {256: 64, 257: 32 * len(strips), 258: (8, 8, 8), 259: 7, 262: YCBCR, **rows}
    return tiff_file(tags, b"".join(strips))


def test_a_tiff_whose_jpegs_are_cut_off_is_never_shown() -> None:
    """The decoder shows grey for the rest."""
    strip = encoded(lesion_image(1, "mel", (64, 32)), "JPEG", subsampling="4:2:0")

    whole = read_image(tiff_of_jpegs(strip, strip))
    padded = read_image(tiff_of_jpegs(strip + b"\x00", strip + b"\x00\x00\x00"))

    assert np.array_equal(whole.pixels, padded.pixels)
    for cut in (strip[: len(strip) // 2], strip[:-2], strip[:-1]):
        with pytest.raises(UndecodableImageError, match="cut off"):
            read_image(tiff_of_jpegs(strip, cut))
        with pytest.raises(UndecodableImageError, match="cut off"):
            read_image(tiff_of_jpegs(cut, strip))


def test_a_tiff_with_jpeg_that_ends_too_early_is_never_shown() -> None:
    """Its tables of JPEG stand at the end; of half a table the decoder makes another image."""
    whole = VICTIMS["TIFF with JPEG"]
    read_image(whole)

    for length in range(len(whole) // 2, len(whole), 7):
        with pytest.raises(ImageError):
            read_image(whole[:length])


def test_exif_orientation_is_found_among_many_entries() -> None:
    entry = exif_block(6)[10:22]
    others = b"".join(struct.pack("<HHII", tag, 4, 1, 0) for tag in range(1, 200))
    block = b"II*\x00" + struct.pack("<IH", 8, 200) + others + entry + bytes(4)

    image = read_image(with_png_chunks(lossless(PLAIN), png_chunk(b"eXIf", block)))

    assert (image.width, image.height) == (227, 301)


# Memory

TIGHT = """
import resource, sys
from lentigo_contract.errors import ImageError
from lentigo_contract.imaging.read import read_image
data = sys.stdin.buffer.read()
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 60 * 2**20,) * 2)
try:
    print(read_image(data).width)
except MemoryError:
    print("MemoryError")
"""


def read_in_little_memory(data: bytes) -> str:
    done = subprocess.run(
        [sys.executable, "-c", TIGHT],
        input=data,
        env={"PYTHONPATH": ":".join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        check=True,
        timeout=60,
    )
    return done.stdout.decode().strip()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory through Linux")
def test_a_large_jpeg_needs_little_memory_and_a_lack_of_it_is_not_blamed_on_the_image() -> None:
    # 96 MB in Pillow, which keeps RGB in four bytes; with an eighth of each side it is 1.5 MB.
    flat = Image.new("RGB", (6000, 4000), (200, 150, 140))

    assert read_in_little_memory(encoded(flat, "JPEG")) == "6000"
    assert read_in_little_memory(lossless(flat)) == "MemoryError"
