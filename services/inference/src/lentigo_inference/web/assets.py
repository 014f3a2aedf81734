"""The files of the clinician's page, as they go over the wire.

The page's icon as PNG, for phones that take no SVG: drawn here, like `web/icon.svg`.

One script out of the page's modules, so that the browser asks once.

A module keeps to a plain form: its imports stand on lines of their own and rename nothing, and it
exports by the word `export` in front of a declaration. Joined in the order of their imports the
modules then are one module, whose top-level names must differ; the browser refuses it otherwise.
"""

import functools
import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
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


_IMPORT: Final = re.compile(r'^import \{[^}]*\} from "\./([a-z-]+\.js)";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export ", re.MULTILINE)


def joined_script(modules: Mapping[str, str], start: str) -> str:
    """Join modules of JavaScript, each after those it imports.

    Args:
        modules: file name to source.
        start: the file name of the first to be asked for.

    Raises:
        KeyError: a module imports one that is not there.
    """
    order: dict[str, None] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        for wanted in _IMPORT.findall(modules[name]):
            # Functions may know each other in a circle; whoever came first stands last.
            if wanted not in above and wanted not in order:
                visit(wanted, (*above, name))
        order[name] = None

    visit(start, ())
    return "".join(_EXPORT.sub("", _IMPORT.sub("", modules[name])) for name in order)


_FOLDER: Final = Path(__file__).parent

_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}

_ICON_SIDES: Final = (192, 512)


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file.

    Attributes:
        content: its bytes.
        media_type: its Content-Type.
        etag: changes with the content.
    """

    content: bytes
    media_type: str
    etag: str


@functools.cache
def page_files() -> Mapping[str, PageFile]:
    """Read and make all files, once, when the page is first asked for; by their paths."""
    found = {
        path.relative_to(_FOLDER).as_posix(): path.read_bytes()
        for path in sorted(_FOLDER.rglob("*"))
        if path.is_file() and path.suffix in _MEDIA_TYPES
    }
    modules = {
        name.removeprefix("js/"): found.pop(name).decode()
        for name in list(found)
        if name.startswith("js/")
    }
    found["app.js"] = joined_script(modules, "main.js").encode()
    for side in _ICON_SIDES:
        found[f"icon-{side}.png"] = icon_png(side)
    return {name: _page_file(name, content) for name, content in found.items()}


def _page_file(name: str, content: bytes) -> PageFile:
    digest = hashlib.sha256(content).hexdigest()[:32]
    return PageFile(content, _MEDIA_TYPES[Path(name).suffix], f'"{digest}"')
