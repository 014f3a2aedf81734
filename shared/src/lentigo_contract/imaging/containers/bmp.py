"""BMP: a file header of 14 bytes, then one of several information headers."""

import struct
from typing import Final

from lentigo_contract.errors import UnsupportedImageError
from lentigo_contract.imaging.containers import exif

# As they stand in the file: OS/2 1 and 2, Windows 3 and its extensions to version 5.
HEADER_SIZES: Final = tuple(struct.pack("<I", size) for size in (12, 40, 52, 56, 64, 108, 124))

_COMPRESSION: Final = slice(30, 34)
_RUN_LENGTHS: Final = (struct.pack("<I", 1), struct.pack("<I", 2))


def screen(data: bytes) -> tuple[bytes, int]:
    """Return the file as it is; BMP has no orientation.

    Raises:
        UnsupportedImageError: run-length coded. That is for drawings of up to 256 colours, and its
            decoder works pixel by pixel, for a minute on a large one.
    """
    if data[14:18] != HEADER_SIZES[0] and data[_COMPRESSION] in _RUN_LENGTHS:
        raise UnsupportedImageError("The BMP is run-length coded. Save it uncompressed, or as PNG.")
    return data, exif.UPRIGHT
