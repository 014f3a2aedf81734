"""WebP (RFC 9649): a RIFF file. Its decoder copes with odd chunks; only EXIF is wanted here."""

import struct
from typing import Final

from lentigo_contract.imaging.containers import exif

_MAX_CHUNKS: Final = 1000

# Sides are numbers of fourteen bits, but on a canvas of their own.
_SIDE_BITS: Final = 14
_SIDE: Final = 2**_SIDE_BITS - 1


def size(data: bytes) -> tuple[int, int] | None:
    """Return the width and height of the canvas, in pixels; None if the first chunk has none.

    A decoder makes room for the canvas as soon as it is opened, so this is to be known before.
    """
    first, content = data[12:16], data[20:30]
    if len(content) < 10 and not (first == b"VP8L" and len(content) >= 5):
        return None
    if first == b"VP8X":
        across, down = content[4:7], content[7:10]
        return int.from_bytes(across, "little") + 1, int.from_bytes(down, "little") + 1
    if first == b"VP8L":
        bits = int.from_bytes(content[1:5], "little")
        return (bits & _SIDE) + 1, (bits >> _SIDE_BITS & _SIDE) + 1
    if first == b"VP8 ":
        width, height = struct.unpack_from("<HH", content, 6)
        return width & _SIDE, height & _SIDE
    return None


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
