"""The picture for viewers that show no report: the image, the network's map on it, and words."""

import io
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
    steps = np.linspace(0, 255, len(_COLOURS))
    levels = np.arange(256)
    palette = np.stack([np.interp(levels, steps, each) for each in zip(*_COLOURS, strict=True)], 1)
    colour = smooth.copy()
    colour.putpalette(palette.round().astype(np.uint8).tobytes())
    share = smooth.point([round(_STRONGEST * level) for level in range(256)])
    return Image.composite(colour.convert("RGB"), picture, share)


def _bar(width: int, lines: Sequence[str]) -> Image.Image:
    font = _font(width - 2 * _MARGIN, lines)
    left, top, _right, bottom = font.getbbox("Ag|")
    del left
    step = round((bottom - top) * 1.5)
    bar = Image.new("RGB", (width, step * len(lines) + 2 * _MARGIN))
    draw = ImageDraw.Draw(bar)
    for number, line in enumerate(lines):
        draw.text((_MARGIN, _MARGIN + number * step), line, fill="white", font=font)
    return bar


def _font(width: int, lines: Sequence[str]) -> ImageFont.FreeTypeFont:
    """Return the largest font in which every line has room, or the smallest there is."""
    for size in range(_LARGEST_FONT, _SMALLEST_FONT, -1):
        font = _sized(size)
        if all(font.getlength(line) <= width for line in lines):
            return font
    return _sized(_SMALLEST_FONT)


def _sized(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # noqa: S101 - with a size, it always is one
    return font
