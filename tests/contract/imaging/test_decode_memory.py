"""What decoding takes is known before, is never more, and is bounded."""

import base64
import subprocess
import sys
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lentigo_contract.errors import ImageBoundsError, UndecodableImageError
from lentigo_contract.imaging.read import ImageLimits, open_image, read_image
from tests.fakes import lesion_image
from tests.images import Tags, encoded, exif_block, png_chunk, png_file, png_header, tiff_file

MIB = 2**20

LESION = lesion_image(1, "nv", (200, 160))
SMALL: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
    "PNG RGBA": (LESION.convert("RGBA"), "PNG", {}),
    "PNG P": (LESION.quantize(16), "PNG", {}),
    "WebP": (LESION, "WEBP", {}),
    "TIFF RGBA": (LESION.convert("RGBA"), "TIFF", {"compression": "tiff_lzw"}),
    "JPEG": (LESION, "JPEG", {"progressive": True}),
}

# Measured in a process of its own, as the highest that its resident set rises above the start.
MEASURE = """
import sys
from PIL import Image
from lentigo_contract.imaging.read import open_image, read_image
from lentigo_contract.errors import ImageError
import numpy as np

def status(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name)) * 1024

data = sys.stdin.buffer.read()
Image.init()
before = status("VmRSS")
opened = open_image(data)
memory = opened.memory
opened.read()
print(memory, status("VmHWM") - before)
"""


def measured(data: bytes) -> tuple[int, int]:
    """Read an image; return the bytes that were expected and those that were taken."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE],
        input=data,
        env={"PYTHONPATH": ":".join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        check=True,
        timeout=120,
    )
    expected, taken = done.stdout.split()
    return int(expected), int(taken)


SIZE = (1800, 1500)
NOISE = Image.fromarray(
    np.random.default_rng(0).integers(0, 256, (150, 180, 3), dtype=np.uint8)
).resize(SIZE)


def flat(mode: str, kind: str, **options: object) -> Callable[[], bytes]:
    return lambda: encoded(Image.new(mode, SIZE), kind, **options)


def noisy(mode: str, kind: str, **options: object) -> Callable[[], bytes]:
    return lambda: encoded(NOISE.convert(mode), kind, **options)


def faded() -> Image.Image:
    image = NOISE.convert("RGBA")
    image.putalpha(NOISE.convert("L"))
    return image


IMAGES: dict[str, Callable[[], bytes]] = {
    "PNG L": flat("L", "PNG"),
    "PNG RGB": flat("RGB", "PNG"),
    "PNG RGB on its side": flat("RGB", "PNG", exif=exif_block(6)),
    "PNG RGBA": flat("RGBA", "PNG"),
    "PNG LA": flat("LA", "PNG"),
    "PNG P": flat("P", "PNG"),
    "PNG P with a hidden colour": flat("P", "PNG", transparency=0),
    "PNG of 16 bits": flat("I;16", "PNG"),
    "PNG 1": flat("1", "PNG"),
    "TIFF RGBA": flat("RGBA", "TIFF", compression="tiff_lzw"),
    "TIFF RGBA in one strip": flat("RGBA", "TIFF", compression="tiff_lzw", strip_size=2**31 - 1),
    "TIFF in strips of a row": lambda: encoded(
        Image.new("L", (100, 16_000)), "TIFF", strip_size=100
    ),
    "TIFF RGBA on its side": flat(
        "RGBA", "TIFF", compression="tiff_lzw", tiffinfo={0x0112: 6}, strip_size=65536
    ),
    "TIFF of 16 bits": flat("I;16", "TIFF", compression="tiff_adobe_deflate"),
    "TIFF LAB": flat("LAB", "TIFF", compression="tiff_adobe_deflate"),
    "TIFF with JPEG in one strip": noisy("RGB", "TIFF", compression="jpeg", strip_size=2**31 - 1),
    "WebP": noisy("RGB", "WEBP", method=0),
    "WebP with alpha": lambda: encoded(faded(), "WEBP", method=0),
    "WebP, lossless": lambda: encoded(faded(), "WEBP", lossless=True, method=0),
    "JPEG": noisy("RGB", "JPEG"),
    "JPEG, progressive": noisy("RGB", "JPEG", progressive=True, subsampling=0),
    "JPEG CMYK, progressive": noisy("CMYK", "JPEG", progressive=True),
    "BMP": flat("L", "BMP"),
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux' /proc")
@pytest.mark.parametrize("kind", IMAGES)
def test_no_image_takes_more_than_its_header_says(kind: str) -> None:
    expected, taken = measured(IMAGES[kind]())

    # A megabyte is for the interpreter, whose own objects grow meanwhile.
    assert taken <= expected + MIB
    # Nor is far too much expected, which would refuse what could be read.
    assert expected <= 1.5 * taken + 12 * MIB


@pytest.mark.parametrize(
    ("kind", "is_whole"),
    [*((kind, True) for kind in SMALL), *((kind, False) for kind in ("PNG P", "PNG RGBA", "JPEG"))],
)
def test_nothing_is_left_in_memory_once_an_image_is_read(
    kind: str, is_whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened_images: list[weakref.ref[Image.Image]] = []
    open_with_pillow = Image.open

    def remembered(*arguments: Any, **options: Any) -> Image.Image:
        image = open_with_pillow(*arguments, **options)
        opened_images.append(weakref.ref(image))
        return image

    monkeypatch.setattr(Image, "open", remembered)
    data = encoded(*SMALL[kind][:2], **SMALL[kind][2])
    opened = open_image(data if is_whole else data[: len(data) * 3 // 4])

    # The error and what was opened are still held, as a service does that answers with them.
    try:
        opened.read()
    except UndecodableImageError as error:
        held: Exception | None = error
    else:
        held = None

    assert (held is None) == is_whole
    assert opened.memory > 0
    assert [reference() for reference in opened_images] == [None]


def test_an_image_is_read_once() -> None:
    opened = open_image(encoded(Image.new("RGB", (64, 64)), "PNG"))
    opened.read()

    with pytest.raises(UndecodableImageError):
        opened.read()


# 38 bytes, 8000 x 8000 pixels; two of these at once took 2.7 GB.
TINY_WEBP = base64.b64decode("UklGRh4AAABXRUJQVlA4TBEAAAAvP9/PFwdQsgJWq2SBiOh/AAA=")

SERVICE = ImageLimits(max_memory=288 * MIB)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux' /proc")
@pytest.mark.parametrize(("mode", "bytes_a_pixel"), [("RGBA", 4), ("I;16", 2)])
def test_a_large_png_is_in_memory_once(mode: str, bytes_a_pixel: int) -> None:
    _, taken = measured(encoded(Image.new(mode, (4000, 4000)), "PNG"))

    assert taken < 16_000_000 * bytes_a_pixel + 24 * MIB


def test_a_tiny_file_with_a_huge_canvas_is_refused_before_it_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def must_not_be_opened(*_arguments: object, **_options: object) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr(Image, "open", must_not_be_opened)

    with pytest.raises(ImageBoundsError, match=r"8000 x 8000 .* MiB"):
        read_image(TINY_WEBP, SERVICE)


def png_of(colour: int, depth: int) -> bytes:
    return png_file(png_header(16_000, 4000, depth, colour), png_chunk(b"IDAT", b""))


def progressive() -> bytes:
    small = encoded(Image.new("CMYK", (64, 64)), "JPEG", progressive=True)
    frame = small.index(b"\xff\xc2")
    return small[: frame + 5] + bytes.fromhex("0fa03e80") + small[frame + 9 :]


def one_strip() -> bytes:
    tags: Tags = {256: 16_000, 257: 4000, 258: (8,) * 4, 259: 8, 262: 2, 277: 4, 338: 2}
    return tiff_file({**tags, 273: 8, 278: 4000, 279: 100}, bytes(100))


def separate_scans() -> bytes:
    """A sequential JPEG that says it has three components, and has one in its first scan."""
    jpeg = encoded(Image.new("RGB", (64, 64)), "JPEG")
    frame, scan = jpeg.index(b"\xff\xc0"), jpeg.index(b"\xff\xda")
    # Quality's subsampling by two each way makes 3 bytes a pixel, too little to be refused.
    sampled = bytearray(jpeg[: frame + 5] + bytes.fromhex("0fa03e80") + jpeg[frame + 9 : scan])
    sampled[frame + 11] = 0x11
    return bytes(sampled) + bytes.fromhex("ffda000801010000 3f00".replace(" ", "")) + bytes(64)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("bomb", [progressive, one_strip, separate_scans])
def test_what_is_in_memory_more_than_once_is_refused_by_its_header(
    bomb: Callable[[], bytes],
) -> None:
    with pytest.raises(ImageBoundsError, match="MiB to decode"):
        read_image(bomb(), SERVICE)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("colour", "depth"), [(0, 8), (0, 16), (2, 8), (3, 8), (4, 8), (6, 8)])
def test_every_png_of_64_million_pixels_fits_into_the_default(colour: int, depth: int) -> None:
    assert open_image(png_of(colour, depth), SERVICE).memory <= 288 * MIB


def test_a_photo_of_twelve_million_pixels_fits_also_in_the_costliest_formats() -> None:
    photo = Image.new("RGB", (4000, 3000))

    for data in (
        encoded(photo, "JPEG", progressive=True, subsampling=0),
        encoded(photo, "WEBP", method=0),
    ):
        assert open_image(data, SERVICE).memory <= 288 * MIB
