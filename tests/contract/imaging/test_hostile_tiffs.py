"""TIFFs made to hurt: contradictions, damaged strips, and JPEG within."""

import struct

import numpy as np
import pytest

from lentigo_contract.errors import ImageError, UndecodableImageError, UnsupportedImageError
from lentigo_contract.imaging.read import read_image
from tests.contract.imaging.victims import RATIONAL, VICTIMS, survive, tiff_with_entries
from tests.contract.repository.twins import PLAIN
from tests.fakes import lesion_image
from tests.images import (
    Tags,
    encoded,
    tiff_file,
)

# Damaged files make Pillow warn, which tests turn into errors; the service lets it warn.
pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_tiff_of_many_tags_shows_the_same_pixels_without_them() -> None:
    gradient = bytes(range(64)) * 64
    fractions = (282, RATIONAL, 1, 8 + len(gradient))
    texts = [(tag, 2, len(gradient), 8) for tag in (270, 305, 700, 34377)]
    plain = tiff_with_entries(content=gradient)

    read = read_image(tiff_with_entries(fractions, *texts, content=gradient + bytes(8)))

    assert np.array_equal(read.pixels, read_image(plain).pixels)
    assert len(np.unique(read.pixels)) > 60


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
