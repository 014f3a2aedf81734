"""What the page loads to answer by itself: its worker, LiteRT and Pillow's decoders as WebAssembly.

Nothing of it belongs to the first load of the page. The two programs are stored compressed by
Brotli, which every browser with a service worker takes, and are sent as they are stored.
docs/decisions/0039-offline-answers.md says why these.
"""

import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lentigo_inference.web.assets import PageFile, bundle_modules

_FOLDER: Final = Path(__file__).parent
_MODULES: Final = _FOLDER / "js/offline"
_VENDOR: Final = _FOLDER / "vendor"

_SCRIPT: Final = "text/javascript; charset=utf-8"
_PROGRAM: Final = "application/wasm"

# An address of its own in place of a package's name, which a browser cannot resolve.
_PACKAGE: Final = (b'"@litertjs/wasm-utils"', b'"./wasm-utils.js"')

WORKER: Final = "offline/worker.js"
CONTROL: Final = "offline.js"
LIST: Final = "offline/files.json"

_COMPRESSED: Final = {
    "offline/litert/litert_wasm_compat_internal.wasm": (
        _VENDOR / "litert/litert_wasm_compat_internal.wasm.br",
        9_334_181,
        "5255c8ad06eabdbd2522cdebf6b22fc10faf74625c23a49b9e072570cd1fa41c",
    ),
    "offline/imaging.wasm": (
        _VENDOR / "imaging/imaging.wasm.br",
        722_614,
        "5987cac3dd0bca19c65962c183a4725df7e0106c656b51c7a2d21590865f13ec",
    ),
}
"""Where a program is stored, and its size in bytes and SHA-256 when it is unpacked."""


@functools.cache
def offline_files() -> Mapping[str, PageFile]:
    """Return all files by path; read and made once, when they are first asked for."""
    modules = {
        path.relative_to(_MODULES).as_posix(): path.read_text(encoding="utf-8")
        for path in _MODULES.rglob("*.js")
    }
    scripts = {
        WORKER: bundle_modules(modules, "worker.js").encode(),
        **{
            f"offline/litert/{path.name}": path.read_bytes().replace(*_PACKAGE)
            for path in sorted((_VENDOR / "litert").glob("*.js"))
        },
    }
    files = {name: PageFile.of(content, _SCRIPT) for name, content in scripts.items()}
    for name, (path, _size, _sha256) in _COMPRESSED.items():
        files[name] = PageFile.of(path.read_bytes(), _PROGRAM, encoding="br")
    control = bundle_modules(modules, "control.js", keep_exports=True).encode()
    files[LIST] = PageFile.of(_list_of(scripts, files), "application/json")
    files[CONTROL] = PageFile.of(control, _SCRIPT)
    return files


def _list_of(scripts: Mapping[str, bytes], files: Mapping[str, PageFile]) -> bytes:
    """Return what is to be kept on a device, with sizes and sums of what is unpacked, as JSON."""
    entries = {
        name: (len(content), hashlib.sha256(content).hexdigest())
        for name, content in scripts.items()
    } | {name: (size, sha256) for name, (_path, size, sha256) in _COMPRESSED.items()}
    return json.dumps(
        {
            "files": [
                {
                    "path": f"page/{name}",
                    "bytes": size,
                    "sha256": sha256,
                    "transferred": len(files[name].content),
                }
                for name, (size, sha256) in entries.items()
            ]
        }
    ).encode()
