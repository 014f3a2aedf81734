"""Images: whatever the bytes, pixels for the network or an error about the image.

And at most a few lines on standard error, where libraries in C write past every handler of ours.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
from PIL import Image

from lentigo_contract.errors import ImageError
from lentigo_contract.imaging.quality import quality_issues
from lentigo_contract.imaging.read import MODEL_SIDE, ImageLimits, open_image
from tests.images import Tags, encoded, exif_block, grey_profile, rgb_profile, tiff_file

MAX_BYTES: Final = 16 * 2**10

# As the service bounds it, but small enough for thousands of inputs a minute.
_LIMITS: Final = ImageLimits(max_bytes=MAX_BYTES, max_pixels=2**20, max_memory=16 * 2**20)
# A line or two of libtiff.
_MAX_ERROR_BYTES: Final = 1024
_STANDARD_ERROR: Final = 2
_SRGB: Final = ((0.436, 0.222, 0.014), (0.385, 0.717, 0.097), (0.143, 0.061, 0.714))


def seeds() -> Iterator[bytes]:
    """Draw a small image, and store it in every way that is accepted."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    clear = image.convert("RGBA")
    clear.putalpha(128)
    colour, grey = rgb_profile(_SRGB, 2.2), grey_profile(1.8)
    yield encoded(image, "JPEG", icc_profile=colour)
    yield encoded(image, "JPEG", exif=exif_block(6))
    yield encoded(image, "JPEG", progressive=True)
    yield encoded(image.convert("CMYK"), "JPEG")
    yield encoded(image.convert("L"), "JPEG", icc_profile=grey)
    yield encoded(image, "PNG", icc_profile=colour)
    yield encoded(clear, "PNG")
    yield encoded(image.quantize(16), "PNG", transparency=3)
    yield encoded(image.convert("I;16"), "PNG")
    yield encoded(image, "BMP")
    yield encoded(image, "WEBP", lossless=True, exif=exif_block(8))
    yield encoded(clear, "WEBP")
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"):
        yield encoded(image, "TIFF", compression=compression)
    yield encoded(image, "TIFF", icc_profile=colour, dpi=(300, 300), tiffinfo={0x0112: 6})
    grey_tiles: Tags = {256: 48, 257: 40, 258: 8, 259: 1, 262: 1, 277: 1, 322: 16, 323: 16}
    places = tuple(range(8, 8 + 9 * 256, 256))
    yield tiff_file({**grey_tiles, 324: places, 325: (256,) * 9}, noise.tobytes()[: 9 * 256])


def check(data: bytes) -> None:
    """Read an image as the service does."""
    with warnings.catch_warnings(), _little_on_standard_error():
        warnings.simplefilter("ignore")
        try:
            opened = open_image(data, _LIMITS)
            assert opened.memory <= 16 * 2**20
            image = opened.read()
        except ImageError:
            return
    assert image.pixels.shape == (MODEL_SIDE, MODEL_SIDE, 3)
    assert image.pixels.dtype == np.uint8
    quality_issues(image.pixels, image.width, image.height)


@contextmanager
def _little_on_standard_error() -> Iterator[None]:
    screen, kept = os.dup(_STANDARD_ERROR), os.memfd_create("standard error")
    os.dup2(kept, _STANDARD_ERROR)
    try:
        yield
    finally:
        os.dup2(screen, _STANDARD_ERROR)
        size = os.fstat(kept).st_size
        os.close(screen)
        os.close(kept)
    assert size <= _MAX_ERROR_BYTES, f"{size} bytes were written to standard error"
