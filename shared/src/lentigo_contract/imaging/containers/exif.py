"""The EXIF field that changes how an image is displayed: orientation (CIPA DC-008, tag 0x0112).

Only the first directory is looked at, entry by entry, so no block can make reading it expensive.
"""

import struct
from typing import Final

UPRIGHT: Final = 1

_HEADER: Final = b"Exif\x00\x00"
_BYTE_ORDERS: Final = {b"II*\x00": "<", b"MM\x00*": ">"}
_ORIENTATION: Final = 0x0112
_SHORT: Final = 3
# A camera writes some dozen.
_MAX_ENTRIES: Final = 1000


def orientation(block: bytes) -> int:
    """Find the orientation, 1 to 8, in an EXIF block; 1 if it is damaged or says nothing.

    Viewers show an image with a damaged block as it is stored, and so do we.
    """
    try:
        return _orientation(block.removeprefix(_HEADER))
    except struct.error:
        return UPRIGHT


def _orientation(block: bytes) -> int:
    order = _BYTE_ORDERS.get(block[:4])
    if order is None:
        return UPRIGHT
    (directory,) = struct.unpack_from(order + "I", block, 4)
    (entries,) = struct.unpack_from(order + "H", block, directory)
    for index in range(min(entries, _MAX_ENTRIES)):
        tag, kind, _count, value = struct.unpack_from(
            order + "HHIH", block, directory + 2 + 12 * index
        )
        if tag == _ORIENTATION:
            return int(value) if kind == _SHORT and 1 <= value <= 8 else UPRIGHT
    return UPRIGHT
