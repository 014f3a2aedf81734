"""The page's icon as PNG, for phones that take no SVG: drawn here, like `web/icon.svg`."""

import io
from typing import Final

from PIL import Image, ImageDraw

# Of web/icon.svg, whose square has 64 units a side: centre x, y and radius, and colour.
_CIRCLES: Final = ((32, 32, 21, "#ffffff"), (32, 32, 17, "#f0d3c2"), (33, 33, 8, "#7a4527"))
_GROUND: Final = "#0f5c66"

# Drawn larger and scaled down, which smooths the edges.
_OVERSAMPLING: Final = 4


def icon_png(side: int) -> bytes:
    """Draw the icon as a PNG of that many pixels a side, filled to its corners (maskable)."""
    large = side * _OVERSAMPLING
    picture = Image.new("RGB", (large, large), _GROUND)
    draw = ImageDraw.Draw(picture)
    for x, y, radius, colour in _CIRCLES:
        box = [unit * large / 64 for unit in (x - radius, y - radius, x + radius, y + radius)]
        draw.ellipse(box, fill=colour)
    encoded = io.BytesIO()
    picture.resize((side, side), Image.Resampling.LANCZOS).quantize(64).save(encoded, "PNG")
    return encoded.getvalue()
