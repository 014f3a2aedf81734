"""How much memory decoding an image takes at most, from its header alone.

The figures a pixel were measured with Pillow 13, as the growth of the resident set while an image
is read; `tests/contract/imaging/test_decode_memory.py` holds them against the real decoders.
"""

from typing import Final

from PIL import Image

from lentigo_contract.imaging.containers import jpeg, tiff
from lentigo_contract.imaging.containers.screening import ScreenedImage
from lentigo_contract.imaging.shrink import STRIP_PIXELS, is_ready

# How Pillow keeps a pixel; all other modes take four bytes.
_STORED_BYTES: Final = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
_MOST_STORED: Final = 4

# libwebp's animation decoder, the only one that Pillow has, keeps two canvases of four bytes. From
# them Pillow copies the pixels twice. Alpha and the rows in between are the rest.
_WEBP_BYTES: Final = 18

# A strip cut out, converted, rotated and premultiplied.
_STRIP_BYTES: Final = 16 * STRIP_PIXELS

# Tables and buffers of the decoders, whatever the image.
_BASE: Final = 2 * 2**20


def decoding_memory(image: Image.Image, screened: ScreenedImage, side: int) -> int:
    """Return the bytes that decoding and resizing take beyond those of the file.

    Args:
        image: its header, with `draft` applied.
        screened: the file.
        side: of the square that it is resized to, in pixels.
    """
    width, height = image.size
    stored = width * height * _STORED_BYTES.get(image.mode, _MOST_STORED)
    # One pass of resizing lies in memory beside what it came from and what it becomes.
    half = side * max(width, height) * _MOST_STORED
    strip = min(_STRIP_BYTES, 16 * width * height)
    converted = 0 if is_ready(image, screened.orientation) else strip
    return _BASE + max(stored + half + converted, _while_decoding(image, screened, stored))


def webp_memory(width: int, height: int) -> int:
    """Return the bytes that decoding a WebP takes, before its header is even opened."""
    return _BASE + width * height * _WEBP_BYTES


def _while_decoding(image: Image.Image, screened: ScreenedImage, stored: int) -> int:
    match screened.kind:
        case "JPEG":
            coefficients = jpeg.coefficient_bytes(screened.data)
            # Rows of blocks are allocated by the dozen.
            return stored + coefficients + coefficients // 16
        case "TIFF":
            # What is screened is a copy, and its library gets another. Pillow turns the whole image
            # upright.
            file = len(screened.data)
            turned = 0 if tiff.is_upright(screened.data) else stored
            listed = tiff.piece_count(screened.data) * tiff.PIECE_MEMORY
            return stored + file + listed + max(turned, tiff.piece_bytes(screened.data) + file)
        case "WEBP":
            return webp_memory(*image.size) + 2 * len(screened.data)
        case "PNG" | "BMP":
            return stored
