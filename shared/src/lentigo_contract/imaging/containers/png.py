"""PNG (W3C, third edition): a signature and chunks."""

import struct
import zlib
from typing import Final

from lentigo_contract.errors import UndecodableImageError, UnsupportedImageError
from lentigo_contract.imaging.containers import exif

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

# Encoders write chunks of 8 KiB and more; the decoder takes some microseconds for each.
MAX_CHUNKS: Final = 50_000
MAX_PROFILE_BYTES: Final = 2**20

# All else is text, time and physical size.
_NEEDED: Final = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_PROFILE: Final = b"iCCP"


def screen(data: bytes) -> tuple[bytes, int]:
    """Return the chunks that the pixels need, and the orientation.

    Of the profiles only the first is looked at: there may be one (section 11.3.2.3), and a thousand
    bytes of another can unpack to a megabyte.

    Raises:
        UnsupportedImageError: an animation.
        UndecodableImageError: more chunks than any encoder writes.
    """
    orientation = exif.UPRIGHT
    kept = [SIGNATURE]
    profiles = 0
    position = len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        header = data[position : position + 8]
        if len(header) < 8:
            break
        length, name = struct.unpack(">I4s", header)
        content = slice(position + 8, position + 8 + length)
        end = content.stop + 4
        if name == b"acTL" and int.from_bytes(data[content][:4], "big") > 1:
            raise UnsupportedImageError("The PNG is animated. Send a single still image.")
        if name == b"eXIf":
            orientation = exif.orientation(data[content])
        profiles += name == _PROFILE
        if name in _NEEDED or (name == _PROFILE and profiles == 1 and _inflates(data[content])):
            kept.append(data[position:end])
        if name == b"IEND":
            break
        position = end
    else:
        raise UndecodableImageError(f"The PNG has more than {MAX_CHUNKS:,} chunks. Save it anew.")
    return b"".join(kept), orientation


def _inflates(profile: bytes) -> bool:
    """Return whether a profile (name, zero, method, deflated data) is whole and of a sane size.

    Viewers show an image with a damaged profile as sRGB, so it is left out then.
    """
    _name, _zero, deflated = profile.partition(b"\x00")
    stream = zlib.decompressobj()
    try:
        stream.decompress(deflated[1:], MAX_PROFILE_BYTES)
    except zlib.error:
        return False
    return stream.eof
