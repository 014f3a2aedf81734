"""The files of the web page, as the service sends them.

`page_files` reads the folder of this module and adds what is made from it: one script from the
modules in `js/`, so that the browser asks once, one more for each feature that is loaded only when
somebody asks for it, and the icon as PNG for phones that show no SVG.
"""

import functools
import gzip
import hashlib
import io
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from PIL import Image, ImageDraw

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

_IMPORT: Final = re.compile(r'^import \{[^}]*\} from "(\.{1,2}/[a-z/-]+\.js)";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export ", re.MULTILINE)
_DECLARATION: Final = re.compile(
    r"^(?:export )?(?:async )?(?:function\*?|class|const|let) (\w+)", re.MULTILINE
)

FEATURES: Final = {
    "camera.js": "camera/camera.js",
    "follow-up-worker.js": "follow-up/worker.js",
    "follow-up.js": "follow-up/follow-up.js",
    "kept.js": "kept/kept.js",
}
"""Scripts that the page loads when somebody asks for what they do, and the module of each."""

_ICON_SIDES: Final = (192, 512)

# From icon.svg, whose square has 64 units a side: centre x, y and radius, and colour.
_ICON_CIRCLES: Final = ((32, 32, 21, "#ffffff"), (32, 32, 17, "#f0d3c2"), (33, 33, 8, "#7a4527"))
_ICON_BACKGROUND: Final = "#0f5c66"

# Draw larger and scale down, which smooths the edges.
_OVERSAMPLING: Final = 4


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file.

    Attributes:
        content: its bytes.
        media_type: its Content-Type.
        etag: changes with the content.
        encoding: its Content-Encoding; empty for none.
        compressed: the same bytes by gzip, for text that has no encoding; otherwise None.
    """

    content: bytes
    media_type: str
    etag: str
    encoding: str = ""
    compressed: bytes | None = None

    @classmethod
    def of(cls, content: bytes, media_type: str, encoding: str = "") -> Self:
        """Return a file, with its tag, and compressed unless it is a picture or encoded."""
        digest = hashlib.sha256(content).hexdigest()[:32]
        plain = not encoding and media_type != _MEDIA_TYPES[".png"]
        compressed = gzip.compress(content, mtime=0) if plain else None
        return cls(content, media_type, f'"{digest}"', encoding, compressed)


@functools.cache
def page_files() -> Mapping[str, PageFile]:
    """Return all files by path; read and made once, at the first request for the page."""
    contents = {
        path.relative_to(_FOLDER).as_posix(): path.read_bytes()
        for path in sorted(_FOLDER.rglob("*"))
        if path.is_file() and path.suffix in _MEDIA_TYPES and not _is_vendored(path)
    }
    modules = {
        name.removeprefix("js/"): contents.pop(name).decode()
        for name in list(contents)
        if name.startswith("js/")
    }
    contents["app.js"] = bundle_modules(modules, "main.js").encode()
    for script, module in FEATURES.items():
        contents[script] = bundle_modules(modules, module, keep_exports=True).encode()
    for side in _ICON_SIDES:
        contents[f"icon-{side}.png"] = _draw_icon(side)
    return {
        name: PageFile.of(content, _MEDIA_TYPES[Path(name).suffix])
        for name, content in contents.items()
    }


def _is_vendored(path: Path) -> bool:
    """Return whether a file belongs to `offline.py` alone."""
    return path.relative_to(_FOLDER).parts[0] == "vendor"


def bundle_modules(modules: Mapping[str, str], start: str, *, keep_exports: bool = False) -> str:
    """Join JavaScript modules into one, each after those it imports.

    The modules must have a simple form: each import on a line of its own and without renaming, and
    `export` only in front of a declaration. Their top-level names must differ; otherwise the
    browser would refuse the script.

    Args:
        modules: path to source; an import names another one from the folder it stands in.
        start: path of the entry module.
        keep_exports: whether what the entry module exports stays exported.

    Raises:
        KeyError: a module imports one that is missing.
        ValueError: two modules declare the same name.
    """
    order: dict[str, None] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        folder = posixpath.dirname(name)
        for target in _IMPORT.findall(modules[name]):
            imported = posixpath.normpath(posixpath.join(folder, target))
            # Modules may import each other in a circle; the one visited first comes last.
            if imported not in above and imported not in order:
                visit(imported, (*above, name))
        order[name] = None

    visit(start, ())
    sources = {name: _IMPORT.sub("", modules[name]) for name in order}
    declared_in: dict[str, str] = {}
    for name, source in sources.items():
        for declared in _DECLARATION.findall(source):
            if declared in declared_in:
                raise ValueError(f"{declared_in[declared]} and {name} both declare {declared}.")
            declared_in[declared] = name
    return "".join(
        source if keep_exports and name == start else _EXPORT.sub("", source)
        for name, source in sources.items()
    )


def _draw_icon(side: int) -> bytes:
    """Draw the icon as a PNG of `side` pixels, filled to its corners (maskable)."""
    large = side * _OVERSAMPLING
    image = Image.new("RGB", (large, large), _ICON_BACKGROUND)
    draw = ImageDraw.Draw(image)
    for x, y, radius, colour in _ICON_CIRCLES:
        box = [unit * large / 64 for unit in (x - radius, y - radius, x + radius, y + radius)]
        draw.ellipse(box, fill=colour)
    encoded = io.BytesIO()
    image.resize((side, side), Image.Resampling.LANCZOS).quantize(64).save(encoded, "PNG")
    return encoded.getvalue()
