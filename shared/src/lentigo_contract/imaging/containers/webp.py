"""WebP (RFC 9649): a RIFF file. Its decoder copes with odd chunks; only EXIF is wanted here."""

import struct
from typing import Final

from lentigo_contract.imaging.containers import exif

_MAX_CHUNKS: Final = 1000


def screen(data: bytes) -> tuple[bytes, int]:
    """Return the file as it is, and the orientation."""
    position = 12
    for _ in range(_MAX_CHUNKS):
        header = data[position : position + 8]
        if len(header) < 8:
            break
        name, length = struct.unpack("<4sI", header)
        if name == b"EXIF":
            return data, exif.orientation(data[position + 8 : position + 8 + length])
        # Chunks are padded to an even length.
        position += 8 + length + length % 2
    return data, exif.UPRIGHT
