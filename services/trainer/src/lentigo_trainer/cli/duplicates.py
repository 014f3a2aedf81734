"""`lentigo-train duplicates`: parse, search, show and keep the list."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from lentigo_contract.system.resources import available_cores
from lentigo_contract.wording import pluralize
from lentigo_trainer.cli.common.options import SourceOption
from lentigo_trainer.system.progress import progress_for

if TYPE_CHECKING:
    from lentigo_trainer.data.duplicates.search import Duplicates

SHOWN: Final = 20


def duplicates(
    source: SourceOption,
    csv: Annotated[
        Path | None,
        typer.Option(help="Also write the whole list to this file.", show_default=False),
    ] = None,
) -> None:
    """Find images that show one lesion under two lesion ids; all of HAM10000 takes many minutes."""
    from lentigo_trainer.data.duplicates.known import known_duplicates  # noqa: PLC0415 - see cli
    from lentigo_trainer.data.duplicates.search import (  # noqa: PLC0415
        find_duplicates,
        write_duplicates,
    )
    from lentigo_trainer.data.ham10000 import find_source  # noqa: PLC0415

    found = find_duplicates(find_source(source), available_cores(), progress_for())
    console = Console()
    console.print(_table(found))
    known = known_duplicates()
    listed = set(zip(known["image_a"], known["image_b"], strict=True))
    pairs = set(zip(found.pairs["image_a"], found.pairs["image_b"], strict=True))
    shared, besides = len(pairs & listed), len(listed - pairs)
    console.print(
        f"{pluralize(len(pairs), 'pair of images joins', 'pairs of images join')} "
        f"{pluralize(found.lesions, 'lesion id')} to {pluralize(found.merged, 'lesion')}. The list "
        f"that Lentigo ships has {shared:,} of these, and {besides:,} besides.",
        highlight=False,
    )
    if csv is not None:
        write_duplicates(csv, found, datetime.now(UTC))


def _table(found: "Duplicates") -> Table:
    shown = found.pairs.head(SHOWN)
    more = f", the first {SHOWN}" if len(found.pairs) > SHOWN else ""
    table = Table(title=f"One lesion under two ids{more}")
    for name in ("Image", "Image", "Lesion", "Lesion", "Matching points"):
        table.add_column(name, justify="right" if name == "Matching points" else "left")
    for row in shown.itertuples():
        points = f"{row.matching_points}{', mirrored' if row.mirrored else ''}"
        names = (row.image_a, row.image_b, row.lesion_a, row.lesion_b)
        table.add_row(*map(str, names), points)
    return table
