"""Markdown, as reports and model cards are written in it."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]], figures: bool = True) -> str:
    """Lay out a table.

    Args:
        head: the columns' names.
        rows: as many cells each.
        figures: whether all columns but the first are figures, which stand to the right.
    """
    aligned = ["---", *["---:" if figures else "---"] * (len(head) - 1)]
    lines = [_cells(head), aligned, *map(_cells, rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def bullets(items: Iterable[str]) -> str:
    """List some sentences; an item of several lines stays one."""
    return "\n".join(f"- {' '.join(item.split())}" for item in items)


def paragraphs(parts: Iterable[str]) -> str:
    """Put blocks below each other, without those that are empty."""
    return "\n\n".join(part for part in parts if part)


def _cells(cells: Sequence[str]) -> list[str]:
    # A bar in a name would begin a cell of its own.
    return [cell.replace("|", "\\|") for cell in cells]
