"""JPEG (ITU-T T.81): segments up to the first scan, then scans up to the end of the image."""

import re
from typing import Final

from lentigo_contract.errors import UndecodableImageError
from lentigo_contract.imaging.containers import exif

SIGNATURE: Final = b"\xff\xd8\xff"

# Far above any encoder: a profile is cut into segments of 64 KiB, and a progressive image has about
# ten scans. A decoder passes over the whole image for every scan, so twenty megabytes of empty ones
# would keep it busy for hours.
MAX_SEGMENTS: Final = 1000
MAX_SCANS: Final = 32

# A marker, past fill bytes; not a stuffed zero, and not a restart marker amid the data of a scan.
_MARKER: Final = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")

# A search lets no other thread run. Through all of a large scan it would take a tenth of a second.
_SEARCHED_AT_ONCE: Final = 2**20

# Encoders write none before a marker, or one. The decoder takes a second for twenty megabytes.
MAX_FILL_BYTES: Final = 4096
_TOO_MUCH_FILL: Final = b"\xff" * (MAX_FILL_BYTES + 1)
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN, _COMMENT = 0xD8, 0xD9, 0xDA, 0xFE
_TEMPORARY: Final = 0x01
_APP: Final = range(0xE0, 0xF0)
_JFIF, _EXIF, _PROFILE, _ADOBE = 0xE0, 0xE1, 0xE2, 0xEE

# Start of frame: sequential, progressive, and both with arithmetic coding.
_FRAMES: Final = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
_PROGRESSIVE: Final = (0xC2, 0xCA)
_BLOCK: Final = 8
_COEFFICIENT_BYTES: Final = 2


def screen(data: bytes) -> tuple[bytes, int]:
    """Return what the decoder needs, the first image alone, and the orientation.

    Of the application segments only those stay that say how to read the colours: JFIF, Adobe and
    the ICC profile. What a phone hangs behind the image (a depth map, a gain map, a film) goes.

    Raises:
        UndecodableImageError: cut off before the first scan, or more segments, scans or fill bytes
            than any encoder writes.
    """
    orientation = exif.UPRIGHT
    kept = [data[:2]]
    position = 2
    for _ in range(MAX_SEGMENTS):
        marker, start, end = _segment(data, position)
        if marker == _START_OF_SCAN:
            image_end = _end_of_image(data, end)
            if data.find(_TOO_MUCH_FILL, end, image_end) >= 0:
                raise UndecodableImageError(
                    f"The JPEG has more than {MAX_FILL_BYTES:,} fill bytes amid its image, more "
                    "than any encoder writes. Save it anew."
                )
            kept.append(data[start:image_end])
            return b"".join(kept), orientation
        segment = data[start + 2 : end]
        if marker == _EXIF and segment[2:8] == b"Exif\x00\x00" and orientation == exif.UPRIGHT:
            orientation = exif.orientation(segment[2:])
        if _colours_need(marker, segment):
            kept.append(data[start:end])
        position = end
    raise UndecodableImageError(
        f"The JPEG has more than {MAX_SEGMENTS} segments before its image. Save it anew."
    )


def coefficient_bytes(screened: bytes) -> int:
    """Return the bytes of coefficients that a decoder keeps of an image that comes in parts.

    A progressive image, and one whose components have a scan each, is put together in memory at
    full size before any of it can be shown, also where it is then shown at an eighth of its size.
    Of one that comes row by row nothing is kept.

    Args:
        screened: what `screen` returns.
    """
    position, frame, marker = 2, b"", 0
    for _ in range(MAX_SEGMENTS):
        found, start, end = _segment(screened, position)
        if found in _FRAMES:
            frame, marker = screened[start + 4 : end], found
        if found == _START_OF_SCAN:
            # Behind the length stands the number of components in the scan.
            in_parts = marker in _PROGRESSIVE or screened[start + 4] < frame[5]
            return _coefficients(frame) if in_parts else 0
        position = end
    return 0


def _coefficients(frame: bytes) -> int:
    """Count them by a frame's content: depth, height, width, and three bytes for a component."""
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    sampling = [(byte >> 4 or 1, byte & 15 or 1) for byte in frame[7 : 7 + 3 * frame[5] : 3]]
    most_across = max(across for across, _down in sampling)
    most_down = max(down for _across, down in sampling)
    blocks_across = -(-width // (_BLOCK * most_across))
    blocks_down = -(-height // (_BLOCK * most_down))
    blocks = sum(blocks_across * across * blocks_down * down for across, down in sampling)
    return blocks * _BLOCK * _BLOCK * _COEFFICIENT_BYTES


def _colours_need(marker: int, segment: bytes) -> bool:
    if marker == _PROFILE:
        return segment[2:14] == b"ICC_PROFILE\x00"
    return marker in (_JFIF, _ADOBE) or (marker not in _APP and marker != _COMMENT)


def _next_marker(data: bytes, position: int) -> re.Match[bytes] | None:
    """Find the next marker, a piece of the data at a time."""
    for start in range(position, len(data), _SEARCHED_AT_ONCE):
        # A marker may begin with the last byte of a piece.
        found = _MARKER.search(data, start, start + _SEARCHED_AT_ONCE + 1)
        if found is not None:
            return found
    return None


def _segment(data: bytes, position: int) -> tuple[int, int, int]:
    """Find the next segment: its marker, where it starts and where it ends."""
    found = _next_marker(data, position)
    if found is None or found[1][0] in (_START_OF_IMAGE, _END_OF_IMAGE):
        raise UndecodableImageError(
            "The JPEG holds no image: it is cut off. Send the original file."
        )
    start, marker = found.start(), found[1][0]
    if marker == _TEMPORARY:
        return marker, start, start + 2
    length = int.from_bytes(data[start + 2 : start + 4], "big")
    end = start + 2 + length
    if length < 2 or end > len(data):
        raise UndecodableImageError(
            "The JPEG is damaged or cut off in its header. Send the original file."
        )
    return marker, start, end


def _end_of_image(data: bytes, position: int) -> int:
    """Walk through the scans from within the first one, and count them."""
    scans = 1
    for _ in range(MAX_SEGMENTS):
        found = _next_marker(data, position)
        if found is None:
            # Cut off: whether enough is there to show is for the decoder to tell.
            return len(data)
        marker = found[1][0]
        if marker == _END_OF_IMAGE:
            return found.end()
        scans += marker == _START_OF_SCAN
        if scans > MAX_SCANS:
            break
        length = int.from_bytes(data[found.end() : found.end() + 2], "big")
        position = found.end() + (0 if marker in (_TEMPORARY, _START_OF_IMAGE) else length)
    raise UndecodableImageError(
        f"The JPEG has more than {MAX_SCANS} scans, more than any encoder writes. Save it anew."
    )
