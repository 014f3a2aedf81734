"""Render reports from the Jinja2 templates in `templates/`.

The code computes values and rows; the templates hold the text, so that a clinician can edit it
without reading Python.
"""

import re
from collections.abc import Sequence
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from lentigo_trainer.reporting.text import (
    by_code_text,
    change_text,
    count_text,
    number_text,
    points_text,
    share_text,
    threshold_text,
)


def render_html(name: str, **values: object) -> str:
    """Render a template as HTML; every value is escaped.

    Args:
        name: the file in `templates/`, such as `evaluation.html.j2`.
        **values: the variables of the template; a missing one is an error.
    """
    return _environment().get_template(name).render(values)


def render_markdown(name: str, **values: object) -> str:
    """Render a template as Markdown, with one blank line between blocks.

    Args:
        name: the file in `templates/`, such as `benchmark.md.j2`.
        **values: the variables of the template; a missing one is an error.
    """
    text = _environment().get_template(name).render(values)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def unwrap(text: str) -> str:
    """Join the lines of each paragraph and each list item, so that a template may break them."""
    lines: list[str] = []
    for line in (" ".join(each.split()) for each in text.splitlines()):
        if line and lines and lines[-1] and not line.startswith("- "):
            lines[-1] += f" {line}"
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def table_row(cells: Sequence[str]) -> str:
    """Write one row of a Markdown table."""
    # An unescaped bar would start another cell.
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("lentigo_trainer.reporting"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "change": change_text,
        "count": count_text,
        "grouped": lambda number: f"{number:,}",
        "number": number_text,
        "points": points_text,
        "row": table_row,
        "share": share_text,
        "by_code": by_code_text,
        "threshold": threshold_text,
        "unwrap": unwrap,
    }
    return environment
