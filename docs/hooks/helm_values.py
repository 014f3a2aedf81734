"""Write the table of the Helm chart's values from the comments of its values.yaml.

A comment that begins with `# -- ` explains the member below it; comments that follow go on with it.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

MARKER: Final = "<!-- values of the chart -->"
_VALUES: Final = Path(__file__).parents[2] / "deploy/helm/lentigo/values.yaml"
_MEMBER: Final = re.compile(r"( *)([A-Za-z_]+):")


@dataclass(frozen=True, slots=True)
class DocumentedValue:
    """A value of the chart: its path such as `model.claim.create`, its default and its meaning."""

    path: str
    default: object
    meaning: str


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace the marker, where a page has it."""
    del page, config, files
    return markdown.replace(MARKER, _table()) if MARKER in markdown else markdown


def documented_values() -> Iterator[DocumentedValue]:
    """Return what values.yaml explains, in its order."""
    text = _VALUES.read_text(encoding="utf-8")
    values = yaml.safe_load(text)
    parents: list[str] = []
    comment: list[str] = []
    for line in text.splitlines():
        if line.lstrip().startswith("# -- "):
            comment = [line.lstrip().removeprefix("# -- ")]
        elif line.lstrip().startswith("# ") and comment:
            comment.append(line.lstrip().removeprefix("# "))
        elif member := _MEMBER.match(line):
            parents = [*parents[: len(member[1]) // 2], member[2]]
            if comment:
                yield DocumentedValue(".".join(parents), _at(values, parents), " ".join(comment))
            comment = []


def _at(values: dict[str, Any], path: list[str]) -> object:
    found: Any = values
    for name in path:
        found = found[name]
    return found


def _table() -> str:
    rows = [
        f"| `{value.path}` | `{json.dumps(value.default)}` | {value.meaning} |"
        for value in documented_values()
    ]
    return "\n".join(["| Value | Default | Meaning |", "| --- | --- | --- |", *rows])
