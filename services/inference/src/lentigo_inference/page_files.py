"""The files of the clinician's page, as they go over the wire."""

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lentigo_inference.page_icons import icon_png
from lentigo_inference.page_script import joined_script

_FOLDER: Final = Path(__file__).parent / "web"

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
