"""A table of text, to be laid out for a terminal, a page or a model card."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table.

    Attributes:
        title: what it shows.
        head: the columns' names.
        rows: as many cells each.
        note: what else is to be said, such as why figures are missing.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def laid_out(table: TextTable) -> Table:
    """Lay a table out for a terminal."""
    laid = Table(title=table.title, title_justify="left", caption_justify="left")
    laid.caption = table.note or None
    for name in table.head:
        laid.add_column(name, justify="right" if name == "n" else "left")
    for row in table.rows:
        laid.add_row(*row)
    return laid


def noted(texts: Sequence[str]) -> str:
    """Put sentences below each other, each once."""
    return "\n".join(dict.fromkeys(texts))
