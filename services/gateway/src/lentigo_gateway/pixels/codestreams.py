"""What a compressed frame says of itself, looked at before any decoder is."""

from typing import Final

_JPEG: Final = b"\xff\xd8"
_JPEG_2000: Final = b"\xff\x4f\xff\x51"
# Start of frame of JPEG (ITU-T T.81, table B.1) and of JPEG-LS (T.87, C.1.1).
_FRAMES: Final = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
# These stand alone, without a length.
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_LOSSLESS: Final = 0xC3
_SCAN: Final = 0xDA
_END: Final = b"\xff\xd9"


def declared_size(frame: bytes) -> tuple[int, int] | None:
    """Return the rows and columns in the header of a JPEG, JPEG-LS or JPEG 2000 codestream.

    None if it has no such header.
    """
    if frame.startswith(_JPEG_2000):
        # Xsiz, Ysiz, XOsiz, YOsiz after marker, length and capabilities (ITU-T T.800, A.5.1).
        across, down, left, top = (
            int.from_bytes(frame[start : start + 4], "big") for start in (8, 12, 16, 20)
        )
        return down - top, across - left
    header = _frame_header(frame)
    return None if header is None else header[1:]


def is_lossless_jpeg(frame: bytes) -> bool:
    """Return whether a codestream is JPEG Lossless, with Huffman codes and no hierarchy (SOF3)."""
    header = _frame_header(frame)
    return header is not None and header[0] == _LOSSLESS


def is_complete(frame: bytes) -> bool:
    """Return whether a JPEG or JPEG-LS codestream has its end; True for any other.

    CharLS takes seconds to find out that a small one has not, and minutes for a large one.
    """
    return not frame.startswith(_JPEG) or frame.rstrip(b"\x00").endswith(_END)


def _frame_header(frame: bytes) -> tuple[int, int, int] | None:
    """Return the marker of the frame header of a JPEG or JPEG-LS, its rows and its columns."""
    place = len(_JPEG)
    while frame.startswith(_JPEG) and place + 9 <= len(frame) and frame[place] == 0xFF:
        marker = frame[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker in _ALONE:
            place += 2
        elif marker in _FRAMES:
            rows = int.from_bytes(frame[place + 5 : place + 7], "big")
            columns = int.from_bytes(frame[place + 7 : place + 9], "big")
            return marker, rows, columns
        elif marker == _SCAN:
            return None
        else:
            place += 2 + int.from_bytes(frame[place + 2 : place + 4], "big")
    return None
