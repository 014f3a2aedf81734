"""TIFF (Adobe, revision 6): a directory of tags, and strips or tiles anywhere in the file.

A directory can make a decoder work without end: strips that all point at the same megabytes, tiles
far larger than the image, a million pages or tiles, a resolution of a million fractions. So its
figures are held against the file's size here, and the decoder gets a new directory with nothing in
it but what the pixels need.
"""

import math
import struct
from dataclasses import dataclass
from typing import Final

from lentigo_contract.errors import UndecodableImageError, UnsupportedImageError
from lentigo_contract.imaging.containers import exif

SIGNATURES: Final = (b"II*\x00", b"MM\x00*")

# None, LZW, JPEG, deflate (two numbers) and PackBits: what cameras and editors write. The rest is
# for faxes and scanners, in decoders that few people test.
_JPEG: Final = 7
_COMPRESSIONS: Final = (1, 5, _JPEG, 8, 32946, 32773)

# Tiles reach over the image's edges; a small image may lie in one tile of any size up to this.
_MAX_TILE_PIXELS: Final = 4096 * 4096
_MAX_PADDING: Final = 4

_MAX_ENTRIES: Final = 1000
# A strip for each row of the tallest image, in each of four planes; also more than the colours of a
# palette. The decoder makes objects of each.
_MAX_VALUES: Final = 4 * 16_384
PIECE_MEMORY: Final = 400
"""Bytes that the decoder takes for each strip or tile that is not compressed, at most."""

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIP_OFFSETS, _ORIENTATION, _SAMPLES, _ROWS_PER_STRIP, _STRIP_BYTES = 273, 274, 277, 278, 279
_PLANAR, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES = 284, 322, 323, 324, 325

_FILL_ORDER, _PREDICTOR, _PALETTE, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 266, 317, 320, 338, 339
_INKS, _JPEG_TABLES, _COEFFICIENTS, _SUBSAMPLING, _REFERENCES, _PROFILE = (
    332, 347, 529, 530, 532, 34675
)  # fmt: skip

# What the decoder gets. The rest are texts, resolutions, and directories of cameras.
_NEEDED: Final = frozenset(
    {
        *(_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _ORIENTATION, _SAMPLES),
        *(_STRIP_OFFSETS, _ROWS_PER_STRIP, _STRIP_BYTES, _PLANAR, _PREDICTOR, _PALETTE, _INKS),
        *(_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES, _EXTRA_SAMPLES, _SAMPLE_FORMAT),
        *(_JPEG_TABLES, _COEFFICIENTS, _SUBSAMPLING, _REFERENCES, _PROFILE),
    }
)

# Never part of compressed data. An encoder may pad what follows.
_END_OF_JPEG: Final = b"\xff\xd9"
_JPEG_PADDING: Final = 16

# Of the photometric interpretation.
_YCBCR: Final = 6

# The field types that sizes and places may be written in: byte, short and long.
_UNSIGNED: Final = {1: "B", 3: "H", 4: "I"}
# Bytes of a value, by field type.
_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
# Those that the decoder keeps as they are; of all others it makes an object for each value.
_BYTES: Final = (1, 2, 7)


@dataclass(frozen=True, slots=True)
class _Directory:
    """The first directory, unread: field type, count and where the value stands, by tag."""

    data: bytes
    order: str
    entries: dict[int, tuple[int, int, int]]
    following: int

    def values(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        if tag not in self.entries:
            return default
        kind, count, position = self.entries[tag]
        if kind not in _UNSIGNED or not 0 < count <= _MAX_VALUES:
            raise _damaged()
        code = f"{self.order}{count}{_UNSIGNED[kind]}"
        if struct.calcsize(code) > 4:
            (position,) = struct.unpack_from(f"{self.order}I", self.data, position)
        return struct.unpack_from(code, self.data, position)

    def value(self, tag: int, default: int) -> int:
        return self.values(tag, (default,))[0]

    def count(self, tag: int) -> int:
        return self.entries[tag][1] if tag in self.entries else 0


def screen(data: bytes) -> tuple[bytes, int]:
    """Return the file with a directory of what the pixels need.

    Its decoder applies the orientation, so that is always upright.

    Raises:
        UnsupportedImageError: several pages, or a compression or depth we do not read.
        UndecodableImageError: the directory is damaged or contradicts the file.
    """
    try:
        directory = _read_directory(data)
        _require_supported(directory)
        _require_plausible(directory)
    except struct.error as error:
        raise _damaged() from error
    return _with_needed_tags(directory), exif.UPRIGHT


def is_upright(data: bytes) -> bool:
    """Return whether the decoder leaves the pixels where they are stored."""
    return _read_directory(data).value(_ORIENTATION, exif.UPRIGHT) == exif.UPRIGHT


def piece_bytes(data: bytes) -> int:
    """Return the bytes of one strip or tile as its decoder unpacks it; 0 if none is unpacked.

    Whatever the samples, four more bytes a pixel are counted, for the conversion of other colours.
    """
    directory = _read_directory(data)
    if directory.value(_COMPRESSION, 1) == 1:
        return 0
    _, _, across, down = _pieces(directory)
    samples = directory.value(_SAMPLES, 1)
    bits = max(directory.values(_BITS, (1,)))
    return across * down * (-(-samples * bits // 8) + 4)


def piece_count(data: bytes) -> int:
    """Return how many strips or tiles the decoder lists; 0 if its library walks through them."""
    directory = _read_directory(data)
    if directory.value(_COMPRESSION, 1) != 1:
        return 0
    return directory.count(_pieces(directory)[0])


def _read_directory(data: bytes) -> _Directory:
    order = "<" if data.startswith(b"II") else ">"
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    if count > _MAX_ENTRIES:
        raise _damaged()
    entries: dict[int, tuple[int, int, int]] = {}
    for position in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from(f"{order}HHI", data, position)
        # Decoders disagree on which of two counts, so that one could be shown and the other used.
        if tag in entries:
            raise _damaged()
        entries[tag] = (kind, values, position + 8)
    (following,) = struct.unpack_from(f"{order}I", data, start + 2 + 12 * count)
    return _Directory(data, order, entries, following)


def _with_needed_tags(directory: _Directory) -> bytes:
    """Return the file with a second directory behind it, which its header then names."""
    data, order = directory.data, directory.order
    kept = [each for tag, each in directory.entries.items() if tag in _NEEDED]
    if any(count > _MAX_VALUES and kind not in _BYTES for kind, count, _position in kept):
        raise _damaged()
    # Of a table that is cut off, the decoder takes what is there.
    if not all(_is_in_the_file(directory, *each) for each in kept):
        raise _damaged()
    # Directories begin at even places.
    start = len(data) + len(data) % 2
    # Before the value of an entry stand its tag, type and count, in eight bytes.
    entries = (data[position - 8 : position + 4] for _kind, _count, position in kept)
    return b"".join(
        (
            data[:4],
            struct.pack(f"{order}I", start),
            data[8:],
            bytes(start - len(data)),
            struct.pack(f"{order}H", len(kept)),
            *entries,
            bytes(4),
        )
    )


def _is_in_the_file(directory: _Directory, kind: int, count: int, position: int) -> bool:
    size = count * _SIZES.get(kind, len(directory.data))
    if size > 4:
        (position,) = struct.unpack_from(f"{directory.order}I", directory.data, position)
    return position + size <= len(directory.data)


def _require_supported(directory: _Directory) -> None:
    if directory.following:
        raise UnsupportedImageError("The TIFF holds several pages. Send a single image.")
    compression = directory.value(_COMPRESSION, 1)
    if compression not in _COMPRESSIONS:
        raise UnsupportedImageError(
            f"The TIFF uses compression {compression}. Save it uncompressed, with LZW or as PNG."
        )
    # Without JPEG, the decoder's library makes RGB of these itself: it passes over strips that it
    # cannot read, so that a damaged image is accepted, and writes a line to the log for each.
    if directory.value(_PHOTOMETRIC, 0) == _YCBCR and compression != _JPEG:
        raise UnsupportedImageError("The TIFF has YCbCr colours without JPEG. Save it as RGB.")
    bits = max(directory.values(_BITS, (1,)))
    inverted = bits > 8 and directory.value(_PHOTOMETRIC, 0) == 0
    if bits not in (1, 2, 4, 8, 16) or inverted:
        raise UnsupportedImageError(
            f"The TIFF has {bits} bits a channel{', white as zero' if inverted else ''}. "
            "Send eight bits, or sixteen with black as zero."
        )


def _require_plausible(directory: _Directory) -> None:
    width, height = directory.value(_WIDTH, 0), directory.value(_HEIGHT, 0)
    offsets, sizes, across, down = _pieces(directory)
    if not (width and height and across and down):
        raise _damaged()
    pieces = math.ceil(width / across) * math.ceil(height / down)
    if pieces * across * down > max(_MAX_TILE_PIXELS, _MAX_PADDING * width * height):
        raise _damaged()
    if directory.value(_PLANAR, 1) == 2:
        pieces *= directory.value(_SAMPLES, 1)
    if max(directory.count(offsets), directory.count(sizes)) > pieces:
        raise _damaged()
    # Pieces do not overlap, so together they cannot be more than the file.
    if sum(directory.values(sizes)) > len(directory.data):
        raise _damaged()
    if directory.value(_COMPRESSION, 1) == _JPEG:
        _require_whole_jpegs(directory, offsets, sizes)


def _require_whole_jpegs(directory: _Directory, offsets: int, sizes: int) -> None:
    """Check that each piece ends as JPEG does; the decoder shows grey for what is cut off."""
    places, lengths = directory.values(offsets), directory.values(sizes)
    if len(places) != len(lengths):
        raise _damaged()
    for place, length in zip(places, lengths, strict=True):
        end = place + length
        last = directory.data[max(place, end - _JPEG_PADDING) : end]
        if end > len(directory.data) or _END_OF_JPEG not in last:
            raise _damaged()


def _pieces(directory: _Directory) -> tuple[int, int, int, int]:
    """Return the tags of the pieces' places and sizes, and a piece's width and height in pixels."""
    if _STRIP_OFFSETS in directory.entries:
        height = directory.value(_HEIGHT, 0)
        rows = min(directory.value(_ROWS_PER_STRIP, height), height)
        return _STRIP_OFFSETS, _STRIP_BYTES, directory.value(_WIDTH, 0), rows
    across, down = directory.value(_TILE_WIDTH, 0), directory.value(_TILE_HEIGHT, 0)
    return _TILE_OFFSETS, _TILE_BYTES, across, down


def _damaged() -> UndecodableImageError:
    return UndecodableImageError(
        "The TIFF is damaged or cut off: its directory does not fit the file. "
        "Send the original file, or save it anew."
    )
