"""Files made to hurt: cut off, mutated, or filled with noise; and how much memory one takes."""

import random
import struct
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lentigo_contract.errors import UndecodableImageError
from lentigo_contract.imaging.containers import jpeg
from lentigo_contract.imaging.read import read_image
from tests.contract.imaging.victims import VICTIMS, survive
from tests.contract.repository.twins import PLAIN, lossless
from tests.images import (
    encoded,
    exif_block,
    png_chunk,
    with_png_chunks,
)

# Damaged files make Pillow warn, which tests turn into errors; the service lets it warn.
pytestmark = pytest.mark.filterwarnings("ignore")


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


def test_exif_orientation_is_found_among_many_entries() -> None:
    entry = exif_block(6)[10:22]
    others = b"".join(struct.pack("<HHII", tag, 4, 1, 0) for tag in range(1, 200))
    block = b"II*\x00" + struct.pack("<IH", 8, 200) + others + entry + bytes(4)

    image = read_image(with_png_chunks(lossless(PLAIN), png_chunk(b"eXIf", block)))

    assert (image.width, image.height) == (227, 301)


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
