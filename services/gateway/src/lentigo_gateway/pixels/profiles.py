"""ICC profiles: where DICOM has them, and how a JPEG carries one."""

from collections.abc import Iterator
from typing import Final

from pydicom import Dataset

# A display's profile has a few kilobytes, a printer's at most some hundred.
_LARGEST: Final = 4 * 2**20

# ICC.1:2022, B.4: segments APP2 that begin so, each with its number and their count.
_SIGNATURE: Final = b"ICC_PROFILE\x00"
_SEGMENT: Final = 65_519
_START: Final = b"\xff\xd8"
_APP2: Final = 0xE2
# Segments before the pixels that say nothing of the frame: APP0 to APP15, and comments.
_APPLICATION: Final = range(0xE0, 0xF0)
_COMMENT: Final = 0xFE


def icc_profile(dataset: Dataset) -> bytes | None:
    """Return the ICC profile of an instance (0028,2000), its own or its first optical path's."""
    holders = [dataset, *dataset.get("OpticalPathSequence", [])[:1]]
    for holder in holders:
        profile = holder.get("ICCProfile")
        if isinstance(profile, bytes) and 0 < len(profile) <= _LARGEST:
            return profile
    return None


def with_profile(jpeg: bytes, profile: bytes | None) -> bytes:
    """Return a JPEG with an ICC profile put in front; its compressed pixels stay as they are.

    One that has a profile already keeps it.
    """
    if profile is None or not jpeg.startswith(_START) or _has_profile(jpeg):
        return jpeg
    parts = [profile[start : start + _SEGMENT] for start in range(0, len(profile), _SEGMENT)]
    if len(parts) > 255:
        return jpeg
    segments = b""
    for number, part in enumerate(parts, 1):
        content = _SIGNATURE + bytes((number, len(parts))) + part
        segments += bytes((0xFF, _APP2)) + (len(content) + 2).to_bytes(2, "big") + content
    place = _after_first_segments(jpeg)
    return jpeg[:place] + segments + jpeg[place:]


def _has_profile(jpeg: bytes) -> bool:
    return any(
        marker == _APP2 and jpeg.startswith(_SIGNATURE, start + 4)
        for marker, start, _end in _segments(jpeg)
    )


def _after_first_segments(jpeg: bytes) -> int:
    """Return the place after JFIF's and EXIF's segments, which must come first."""
    place = len(_START)
    for marker, _start, end in _segments(jpeg):
        if marker in (0xE0, 0xE1):
            place = end
        else:
            break
    return place


def _segments(jpeg: bytes) -> Iterator[tuple[int, int, int]]:
    """Return marker, start and end of the application segments and comments at the beginning."""
    place = len(_START)
    while place + 4 <= len(jpeg) and jpeg[place] == 0xFF:
        marker = jpeg[place + 1]
        end = place + 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
        if (marker not in _APPLICATION and marker != _COMMENT) or end > len(jpeg):
            return
        yield marker, place, end
        place = end
