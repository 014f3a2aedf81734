"""HAM10000's metadata: read, checked against itself and against the images that are there."""

import csv
from collections.abc import Collection
from pathlib import Path
from typing import Final

import pandas as pd

from lentigo_contract.errors import MetadataError
from lentigo_contract.labels import CODES
from lentigo_trainer.listing import listed

COLUMNS: Final = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")
_NEEDED: Final = ("lesion_id", "image_id", "dx")


def read_metadata(path: Path) -> pd.DataFrame:
    """Read the metadata into one row an image, in the file's order.

    Returns:
        Columns as in `COLUMNS`, all text but `age` (years, float, NaN where unknown). Columns
        that describe the patient are empty where the file lacks them.

    Raises:
        MetadataError: unreadable, a needed column or value missing, an unknown diagnosis, an image
            listed twice, or a lesion with two diagnoses.
    """
    try:
        # The separator is told by looking: Dataverse also gives the table tab-separated.
        table = pd.read_csv(
            path, sep=None, engine="python", dtype=str, keep_default_na=False, index_col=False
        )
    except (OSError, ValueError, csv.Error, pd.errors.ParserError) as error:
        raise MetadataError(f"{path} cannot be read as a table: {error}") from error
    missing = [column for column in _NEEDED if column not in table.columns]
    if missing:
        raise MetadataError(
            f"{path} has no column {', '.join(missing)}; it has {', '.join(table.columns)}. "
            "Use HAM10000_metadata.csv as published."
        )
    if table.empty:
        raise MetadataError(f"{path} lists no image. Use HAM10000_metadata.csv as published.")
    table = table.reindex(columns=list(COLUMNS), fill_value="")
    _refuse(
        path,
        "rows without lesion, image or diagnosis",
        table[
            (table["lesion_id"] == "") | (table["image_id"] == "") | (table["dx"] == "")
        ].index.map(lambda row: f"line {row + 2}"),
    )
    _refuse(path, "images listed twice", table["image_id"][table["image_id"].duplicated()])
    unknown = table[~table["dx"].isin(CODES)]
    _refuse(
        path,
        f"diagnoses other than {', '.join(CODES)}",
        [f"{image} ({dx})" for image, dx in zip(unknown["image_id"], unknown["dx"], strict=True)],
    )
    kinds = table.groupby("lesion_id")["dx"].nunique()
    _refuse(path, "lesions with more than one diagnosis", kinds[kinds > 1].index)
    table["age"] = pd.to_numeric(table["age"], errors="coerce")
    return table


def require_images(table: pd.DataFrame, available: Collection[str], where: Path) -> None:
    """Check that every image of the metadata is there.

    Raises:
        MetadataError: images without a file, the first of them named.
    """
    _refuse(
        where,
        "images that none of the archives or folders beside it holds; is one of them missing?",
        [image for image in table["image_id"] if image not in available],
    )


def _refuse(path: Path, what: str, items: Collection[str]) -> None:
    if not len(items):
        return
    raise MetadataError(f"{path} has {len(items):,} {what}: {listed(items)}.")
