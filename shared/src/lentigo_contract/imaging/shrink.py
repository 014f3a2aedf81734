"""From a decoded image of any mode and orientation to the square that the network takes.

Pillow copies a whole image to convert, rotate or premultiply it, so a large one would be in memory
two to four times. Here each strip of it is converted, rotated and resized along one axis by itself,
and then all of them together are resized along the other. These are the two passes of Pillow's own
resize, in its order, each of which rounds to eight bits, so the result is equal to the bit.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from PIL import Image

from lentigo_contract.errors import UnsupportedImageError

STRIP_PIXELS: Final = 2**19
"""Pixels that are converted at a time. An image of HAM10000, 600 x 450, is a single strip."""

# What Pillow resizes as it is, and littleCMS converts.
_READY: Final = ("L", "RGB", "CMYK", "LAB")

# RGBA is resized with its colours weighted by alpha, so that what is hidden does not bleed into
# what is shown.
_WEIGHTED: Final = "RGBa"

_FILTER: Final = Image.Resampling.BILINEAR

# EXIF orientation, CIPA DC-008: what undoes it. Values 5 to 8 swap the sides.
_FIRST_SIDEWAYS: Final = 5
_TRANSPOSITIONS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Those whose topmost row, or leftmost column, is stored as the last row or column.
_TOP_IS_LAST: Final = (3, 4, 7, 8)
_LEFT_IS_LAST: Final = (2, 3, 6, 7)


def upright_size(image: Image.Image, orientation: int) -> tuple[int, int]:
    """Return width and height as a viewer shows them, in pixels."""
    width, height = image.size
    return (height, width) if orientation >= _FIRST_SIDEWAYS else (width, height)


def require_eight_bits(image: Image.Image) -> None:
    """Check that the samples can be brought to eight bits, by the header alone.

    Raises:
        UnsupportedImageError: 32-bit samples, whose black and white nobody states.
    """
    if image.mode in ("I", "F"):
        raise UnsupportedImageError(
            "The image has 32-bit or signed samples. Send eight or sixteen bits a channel."
        )


def is_ready(image: Image.Image, orientation: int) -> bool:
    """Return whether an image is resized as it is stored, without a copy of it or of its strips."""
    return (
        image.mode in _READY
        and orientation not in _TRANSPOSITIONS
        and not image.has_transparency_data
    )


def shrink(
    image: Image.Image, orientation: int, side: int, strip_pixels: int = STRIP_PIXELS
) -> Image.Image:
    """Turn an image upright and squash it to a square, with an antialiased bilinear filter.

    Args:
        image: of any mode that `require_eight_bits` lets pass.
        orientation: EXIF orientation, 1 to 8.
        side: of the square, in pixels.
        strip_pixels: how much is converted at a time.

    Returns:
        `L`, `RGB`, `RGBA`, `CMYK` or `LAB`, [side, side].
    """
    if is_ready(image, orientation):
        return image.resize((side, side), _FILTER)
    if image.width * image.height <= strip_pixels:
        return _oriented(in_eight_bits(image), orientation).resize((side, side), _FILTER)
    half = _one_pass(image, orientation, side, strip_pixels)
    square = half.resize((side, side), _FILTER)
    return square.convert("RGBA") if square.mode == _WEIGHTED else square


def in_eight_bits(image: Image.Image) -> Image.Image:
    """Bring any mode that `require_eight_bits` lets pass to one of those that `shrink` returns."""
    if image.mode.startswith("I;16"):
        return _narrowed(image)
    if image.has_transparency_data:
        return image if image.mode == "RGBA" else image.convert("RGBA")
    return image if image.mode in _READY else image.convert("RGB")


def _one_pass(image: Image.Image, orientation: int, side: int, strip_pixels: int) -> Image.Image:
    """Resize the upright image along the axis that Pillow begins with; RGBA becomes RGBa."""
    width, height = upright_size(image, orientation)
    # Since Pillow 13; before, every image was made narrow first.
    lower_first = height > side and height - side > 2 * (width - side)
    mode = _strip(image, (0, 0, 1, 1), orientation).mode
    half = Image.new(mode, (width, side) if lower_first else (side, height))
    place = 0
    for box in _strips(image.size, orientation, strip_pixels, upright_columns=lower_first):
        strip = _strip(image, box, orientation)
        if lower_first:
            half.paste(strip.resize((strip.width, side), _FILTER), (place, 0))
            place += strip.width
        else:
            half.paste(strip.resize((side, strip.height), _FILTER), (0, place))
            place += strip.height
    return half


def _strip(image: Image.Image, box: tuple[int, int, int, int], orientation: int) -> Image.Image:
    strip = _oriented(in_eight_bits(image.crop(box)), orientation)
    return strip.convert(_WEIGHTED) if strip.mode == "RGBA" else strip


def _strips(
    size: tuple[int, int], orientation: int, strip_pixels: int, *, upright_columns: bool
) -> Iterator[tuple[int, int, int, int]]:
    """Return boxes of the stored image: rows of the upright one from the top, or its columns."""
    width, height = size
    stored_columns = (orientation >= _FIRST_SIDEWAYS) != upright_columns
    length, across = (width, height) if stored_columns else (height, width)
    from_the_end = orientation in (_LEFT_IS_LAST if upright_columns else _TOP_IS_LAST)
    step = max(1, strip_pixels // across)
    for start in range(0, length, step):
        first, last = start, min(start + step, length)
        if from_the_end:
            first, last = length - last, length - first
        yield (first, 0, last, height) if stored_columns else (0, first, width, last)


def _narrowed(image: Image.Image) -> Image.Image:
    """Bring 16-bit grey to 8 bits, exactly where software has widened it by 257."""
    wide = np.asarray(image, dtype=np.uint16)
    grey = Image.fromarray(((np.minimum(wide, 65535 - 128) + 128) // 257).astype(np.uint8))
    hidden = image.info.get("transparency")
    if hidden is None:
        return grey
    grey.putalpha(Image.fromarray(np.where(wide == hidden, 0, 255).astype(np.uint8)))
    return grey.convert("RGBA")


def _oriented(image: Image.Image, orientation: int) -> Image.Image:
    if orientation not in _TRANSPOSITIONS:
        return image
    return image.transpose(_TRANSPOSITIONS[orientation])
