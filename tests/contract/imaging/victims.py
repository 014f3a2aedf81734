"""Images to be damaged, and what reading one must not do."""

import struct
from contextlib import suppress

from PIL import Image

from lentigo_contract.errors import ImageError
from lentigo_contract.imaging.read import read_image
from tests.fakes import lesion_image
from tests.images import encoded

RATIONAL = 5
"""The type of fractions in a TIFF."""

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
