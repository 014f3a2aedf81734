"""Image files made by code: valid ones of every kind, and the parts to build hostile ones from."""

import io
import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

# A TIFF's tags: numbers and their values.
Tags = Mapping[int, int | tuple[int, ...]]

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


def encoded(image: Image.Image, format: str, **options: object) -> bytes:  # noqa: A002 - Pillow's
    """Encode an image in memory; `options` are Pillow's."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def exif_block(orientation: int, order: str = "<") -> bytes:
    """Give an EXIF block (TIFF header and one directory) that says only the orientation."""
    header = b"II*\x00" if order == "<" else b"MM\x00*"
    return header + struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def with_jpeg_segments(jpeg: bytes, *segments: tuple[int, bytes]) -> bytes:
    """Put segments (marker, content) right behind the start of a JPEG."""
    added = b"".join(
        struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content
        for marker, content in segments
    )
    return jpeg[:2] + added + jpeg[2:]


def png_chunk(name: bytes, content: bytes = b"") -> bytes:
    """Give one PNG chunk with the right check sum."""
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def png_header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    """Give an IHDR chunk; colour 0 is grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGBA."""
    return png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def png_pixels(pixels: npt.NDArray[np.generic]) -> bytes:
    """Give an IDAT chunk of unfiltered rows; the array is [height, width, channels], big-endian."""
    rows = pixels.reshape(pixels.shape[0], -1).view(np.uint8)
    unfiltered = np.pad(rows, ((0, 0), (1, 0)))
    return png_chunk(b"IDAT", zlib.compress(unfiltered.tobytes()))


def png_file(header: bytes, *chunks: bytes) -> bytes:
    """Put a PNG together from its chunks."""
    return PNG_SIGNATURE + header + b"".join(chunks) + png_chunk(b"IEND")


def with_png_chunks(png: bytes, *chunks: bytes) -> bytes:
    """Put chunks right behind a PNG's header."""
    after_header = len(PNG_SIGNATURE) + 25
    return png[:after_header] + b"".join(chunks) + png[after_header:]


def tiff_file(
    tags: Tags,
    content: bytes,
    order: str = "<",
    following: int = 0,
) -> bytes:
    """Build a TIFF: header, `content` at offset 8, then one directory of LONG values.

    `following` is where the next directory is said to be.
    """
    header = (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(
        order + "I", 8 + len(content)
    )
    directory = struct.pack(order + "H", len(tags))
    overflow = b""
    overflow_at = 8 + len(content) + 2 + 12 * len(tags) + 4
    for tag, value in sorted(tags.items()):
        values = value if isinstance(value, tuple) else (value,)
        packed = struct.pack(f"{order}{len(values)}I", *values)
        if len(packed) > 4:
            overflow, packed = (
                overflow + packed,
                struct.pack(order + "I", overflow_at + len(overflow)),
            )
        directory += struct.pack(order + "HHI", tag, 4, len(values)) + packed
    return header + content + directory + struct.pack(order + "I", following) + overflow


def rgb_profile(colorants: Iterable[tuple[float, float, float]], gamma: float) -> bytes:
    """Build an ICC profile (version 2.1) of a display: red, green, blue in XYZ (D50), and gamma."""
    tags = {
        **{
            name: b"XYZ \x00\x00\x00\x00" + b"".join(_fixed(part) for part in colorant)
            for name, colorant in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colorants, strict=True)
        },
        **{name: _gamma_curve(gamma) for name in (b"rTRC", b"gTRC", b"bTRC")},
    }
    return _profile(b"RGB ", tags)


def grey_profile(gamma: float) -> bytes:
    """Build an ICC profile of a grey device."""
    return _profile(b"GRAY", {b"kTRC": _gamma_curve(gamma)})


def _profile(space: bytes, own_tags: Mapping[bytes, bytes]) -> bytes:
    name = b"made by code\x00"
    description = b"desc" + bytes(4) + struct.pack(">I", len(name)) + name + bytes(78)
    tags = {
        b"desc": description,
        b"cprt": b"text" + bytes(4) + b"none\x00",
        b"wtpt": b"XYZ " + bytes(4) + _D50,
        **own_tags,
    }
    table = struct.pack(">I", len(tags))
    body = b""
    start = 128 + 4 + 12 * len(tags)
    for signature, content in tags.items():
        table += signature + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(
        ">I4sI4s4s4s12s4s4sIIIIII12s",
        start + len(body),
        b"none",
        0x02100000,
        b"mntr",
        space,
        b"XYZ ",
        bytes(12),
        b"acsp",
        bytes(4),
        0,
        0,
        0,
        0,
        0,
        0,
        _D50,
    )
    return header.ljust(128, b"\x00") + table + body


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _gamma_curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


_D50: Final = b"".join(_fixed(part) for part in (0.9642, 1.0, 0.8249))
