"""An imported set on disk: images beside HAM10000, ready to train with or to test on.

images.zip      every image as it came, named by itself
images.u8       the same, decoded: uint8 [n, 224, 224, 3], in the order of the records
records.csv     a row for each image
left-out.csv    images that were not imported, and why
set.json        what the set is; written last, so a set without it is not finished
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_contract.labels import CODES, index_of
from lentigo_contract.wording import pluralize
from lentigo_trainer.data.dataset import DECODER
from lentigo_trainer.data.extra.archives import open_contents
from lentigo_trainer.data.extra.groups import is_kept_out
from lentigo_trainer.data.ham10000 import ImageReader
from lentigo_trainer.errors import ImportedSetError

IMAGES: Final = "images.zip"
PIXELS: Final = "images.u8"
RECORDS: Final = "records.csv"
LEFT_OUT: Final = "left-out.csv"
SUMMARY: Final = "set.json"

SET_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")

SetPart = Literal["all", "training", "kept-out"]

COLUMNS: Final = (
    "image_id",
    "dx",
    "lesion_id",
    "age",
    "sex",
    "localization",
    "dx_type",
    "patient_id",
    "license",
    "attribution",
    "width",
    "height",
    "sha256",
)
"""`lesion_id` is the group, with the set's name before it: what is drawn whole. The next four are
those of HAM10000's metadata. Width and height are the original's, in pixels; 0 if unknown."""


class SetSummary(BaseModel):
    """What an imported set is.

    Attributes:
        schema_version: of this file.
        name: of the set.
        decoder: what decoded `images.u8`; see `dataset.DECODER`.
        images: how many.
        groups: how many groups they form.
        classes: images of each diagnosis, by code.
        knows: the diagnoses that an image could have been given, in label order. Nobody looked for
            the others, so the loss of these images must not speak of them.
        kept_out_share: share of the groups that never train.
        license: with every condition of every image.
        licenses: how many images are under each.
        attributions: how many images each of those to credit gave; empty if nobody is named.
        left_out: how many images were not imported, by reason.
        compared_with: what was searched for duplicates, in words.
        digest: SHA-256 of the names, diagnoses, groups and sums of all images, hex.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    name: Annotated[str, Field(pattern=SET_NAME.pattern)]
    decoder: str
    images: Annotated[int, Field(ge=1)]
    groups: int
    classes: dict[str, int]
    knows: tuple[str, ...]
    kept_out_share: Annotated[float, Field(ge=0, lt=1)]
    license: str
    licenses: dict[str, int]
    attributions: dict[str, int]
    left_out: dict[str, int]
    compared_with: tuple[str, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class ImportedSet:
    """An imported set, or a part of it.

    Attributes:
        folder: where it lies.
        summary: of the whole set.
        part: which part this is.
        records: the columns `COLUMNS`, one row for each image of the part.
        rows: their rows in `images.u8`, int64 [n].
    """

    folder: Path
    summary: SetSummary
    part: SetPart
    records: pd.DataFrame
    rows: npt.NDArray[np.int64]

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Class numbers in the order of `labels.CODES`, [n]."""
        return np.array([index_of(code) for code in self.records["dx"]], np.int64)

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Which of the seven diagnoses the set knows, [7]."""
        return np.array([code in self.summary.knows for code in CODES])

    @property
    def aspects(self) -> npt.NDArray[np.float32]:
        """Width over height of each original, float32 [n]; that of HAM10000 if unknown."""
        width, height = self.records["width"], self.records["height"]
        known = (width > 0) & (height > 0)
        return np.where(known, width / height.where(known, 1), 4 / 3).astype(np.float32)

    def pixels(self) -> npt.NDArray[np.uint8]:
        """Return all images of the whole set, memory-mapped: uint8 [m, 224, 224, 3]."""
        shape = (self.summary.images, MODEL_SIDE, MODEL_SIDE, 3)
        return np.memmap(self.folder / PIXELS, np.uint8, "r", shape=shape)

    def describe(self) -> str:
        """Return which images these are, in words."""
        part = "" if self.part == "all" else f"the {self.part} part of "
        groups = self.records["lesion_id"].nunique()
        images = pluralize(len(self.records), "image")
        return f"{part}{self.summary.name} ({images} of {pluralize(groups, 'group')})"

    @contextmanager
    def open_images(self) -> Iterator[tuple[ImageReader, ...]]:
        """Open the encoded images of this part, in the order of the records."""
        with open_contents([self.folder / IMAGES]) as contents:
            yield tuple(contents.images[name][0].read for name in self.records["image_id"])


def open_set(folder: Path, part: SetPart = "all") -> ImportedSet:
    """Open an imported set, or one part of it.

    Raises:
        ImportedSetError: the folder holds no finished set, or one of another release.
    """
    summary = read_summary(folder)
    if summary is None:
        raise ImportedSetError(
            f"{folder} holds no imported set. Make one with `lentigo-train import --to {folder}`."
        )
    whole = folder / PIXELS
    size = summary.images * MODEL_SIDE * MODEL_SIDE * 3
    try:
        records = pd.read_csv(folder / RECORDS, dtype=_TYPES, keep_default_na=False, na_values=_NA)
        complete = len(records) == summary.images and whole.stat().st_size == size
    except (OSError, ValueError) as error:
        raise _damaged(folder) from error
    if not complete or tuple(records.columns) != COLUMNS:
        raise _damaged(folder)
    if summary.decoder != DECODER:
        raise ImportedSetError(
            f"{folder} was decoded by another release. Import it again into a new folder."
        )
    rows = np.arange(len(records))
    if part != "all":
        share = summary.kept_out_share
        out = np.array([is_kept_out(_own_name(group), share) for group in records["lesion_id"]])
        rows = np.flatnonzero(out if part == "kept-out" else ~out)
    return ImportedSet(folder, summary, part, records.iloc[rows].reset_index(drop=True), rows)


def read_summary(folder: Path) -> SetSummary | None:
    """Read what the set in a folder is; None if there is none.

    Raises:
        ImportedSetError: the file cannot be read.
    """
    try:
        return SetSummary.model_validate_json((folder / SUMMARY).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise _damaged(folder) from error


def group_id(set_name: str, group: str) -> str:
    """Return a group's name among those of all sets."""
    return f"{set_name}:{group}"


def _own_name(group: str) -> str:
    return group.partition(":")[2]


_NA: Final = {"age": [""]}

_TYPES: Final[dict[str, type]] = {
    **dict.fromkeys(COLUMNS, str),
    "age": float,
    "width": int,
    "height": int,
}


def _damaged(folder: Path) -> ImportedSetError:
    return ImportedSetError(
        f"The imported set in {folder} is damaged. Delete the folder and import it again."
    )
