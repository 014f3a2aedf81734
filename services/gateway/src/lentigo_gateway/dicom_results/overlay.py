"""The picture for viewers that show no report: the image, the network's map on it, and words."""

import functools
import io
import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from lentigo_gateway.errors import PixelsError

Pixels = npt.NDArray[np.uint8]

# Sides in pixels: the words need a width, and a viewer's window has no more.
_NARROWEST: Final = 512
_WIDEST: Final = 1024
_TALLEST: Final = 2048

# Share of the colour where the map is white.
_STRONGEST: Final = 0.6
# What counts least to what counts most: blue, green, yellow, red.
_COLOURS: Final = ((0, 40, 160), (0, 160, 120), (240, 220, 40), (230, 30, 30))

_LARGEST_FONT: Final = 20
_SMALLEST_FONT: Final = 8
_MARGIN: Final = 10
_MAP_SIDES: Final = 4096
# That are kept as they were measured and drawn; about 60 KB each.
_LINES: Final = 128


def draw_overlay(picture: Image.Image, map_png: bytes, lines: Sequence[str]) -> Pixels:
    """Draw the map over an image, and lines of text on a black bar below it.

    Args:
        picture: RGB, of any size; it is scaled so that it can be shown and the words can be read.
        map_png: 8-bit grey PNG of any size, which covers the whole image; empty for no map.
        lines: ASCII; the first is the most important.

    Returns:
        RGB uint8 [height, width, 3].

    Raises:
        PixelsError: the map is no grey PNG.
    """
    shown = picture.convert("RGB").resize(_size(*picture.size), Image.Resampling.LANCZOS)
    if map_png:
        shown = _coloured(shown, _read_map(map_png))
    bar = _bar(shown.width, lines)
    whole = Image.new("RGB", (shown.width, shown.height + bar.height))
    whole.paste(shown, (0, 0))
    whole.paste(bar, (0, shown.height))
    return np.asarray(whole, np.uint8)


def _size(width: int, height: int) -> tuple[int, int]:
    """Return the size in which a picture is shown, with its proportions as far as possible."""
    shown = min(max(width, _NARROWEST), _WIDEST)
    tall = round(height * shown / width)
    return shown, min(max(tall, 1), _TALLEST)


def _read_map(png: bytes) -> Image.Image:
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as found:
            if max(found.size) > _MAP_SIDES or found.mode != "L":
                raise PixelsError("The map of the network is no grey PNG of 8 bits.")
            return found.copy()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PixelsError("The map of the network is no PNG, or damaged.") from error


def _coloured(picture: Image.Image, grey: Image.Image) -> Image.Image:
    """Return an image under a map, which Pillow looks up and mixes in eight bits."""
    smooth = grey.resize(picture.size, Image.Resampling.BICUBIC)
    colour = smooth.copy()
    colour.putpalette(_palette())
    share = smooth.point([round(_STRONGEST * level) for level in range(256)])
    return Image.composite(colour.convert("RGB"), picture, share)


@functools.cache
def _palette() -> bytes:
    """Return the colour of each level of a map, 256 times RGB."""
    steps = np.linspace(0, 255, len(_COLOURS))
    levels = np.arange(256)
    palette = np.stack([np.interp(levels, steps, each) for each in zip(*_COLOURS, strict=True)], 1)
    return palette.round().astype(np.uint8).tobytes()


def _bar(width: int, lines: Sequence[str]) -> Image.Image:
    size = _font_size(width - 2 * _MARGIN, lines)
    step = _step(size)
    bar = Image.new("RGB", (width, step * len(lines) + 2 * _MARGIN))
    for number, line in enumerate(lines):
        bar.paste(_drawn(line, size), (_MARGIN, _MARGIN + number * step))
    return bar


def _font_size(width: int, lines: Sequence[str]) -> int:
    """Return the largest font in which every line has room, or the smallest there is."""
    longest = max(lines, key=lambda line: _length(line, _LARGEST_FONT))
    sizes = range(_LARGEST_FONT, _SMALLEST_FONT, -1)
    return next((each for each in sizes if _length(longest, each) <= width), _SMALLEST_FONT)


def _step(size: int) -> int:
    """Return the height of a line in pixels."""
    _left, top, _right, bottom = _sized(size).getbbox("Ag|")
    return round((bottom - top) * 1.5)


# Most lines are the same on every picture, or on every one of a diagnosis.
@functools.lru_cache(_LINES)
def _length(line: str, size: int) -> float:
    """Return the width of a line in pixels."""
    return float(_sized(size).getlength(line))


@functools.lru_cache(_LINES)
def _drawn(line: str, size: int) -> Image.Image:
    """Return a line, white on black."""
    drawn = Image.new("RGB", (math.ceil(_length(line, size)) + 1, _step(size)))
    ImageDraw.Draw(drawn).text((0, 0), line, fill="white", font=_sized(size))
    return drawn


@functools.cache
def _sized(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # noqa: S101 - with a size, it always is one
    return font
