"""One script out of the page's modules, so that the browser asks once.

A module keeps to a plain form: its imports stand on lines of their own and rename nothing, and it
exports by the word `export` in front of a declaration. Joined in the order of their imports the
modules then are one module, whose top-level names must differ; the browser refuses it otherwise.
"""

import re
from collections.abc import Mapping
from typing import Final

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
