"""HAM10000 on disk: where its files lie, and its metadata, checked against itself and the images.

The Dataverse record (doi:10.7910/DVN/DBW86T) has zip archives; Kaggle's copy unpacks to folders of
the same names. Both are read as they are.
"""

import csv
import re
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

import pandas as pd

from lentigo_contract.labels import CODES
from lentigo_contract.wording import pluralize
from lentigo_trainer.errors import DamagedArchiveError, MetadataError, SourceNotFoundError

COLUMNS: Final = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")

_NEEDED: Final = ("lesion_id", "image_id", "dx")

SHOWN: Final = 10

_METADATA_NAMES: Final = ("HAM10000_metadata.csv", "HAM10000_metadata", "HAM10000_metadata.tab")

_PART: Final = re.compile(r"ham10000_images_part_\d+(\.zip)?", re.IGNORECASE)

_IMAGE_SUFFIXES: Final = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a data set lies.

    Attributes:
        metadata: the metadata file, comma or tab separated.
        parts: archives and folders that hold the images, in the order of their names.
    """

    metadata: Path
    parts: tuple[Path, ...]


class ImageReader(Protocol):
    """Reads the encoded bytes of one image."""

    def __call__(self) -> bytes:
        """Return the bytes of the image file."""
        ...


def find_source(folder: Path) -> Source:
    """Find metadata and image parts under the Dataverse or Kaggle names.

    Raises:
        SourceNotFoundError: the folder, the metadata or every image part is missing.
    """
    if not folder.is_dir():
        raise SourceNotFoundError(
            f"There is no folder {folder}. Set --source to the folder with HAM10000, "
            "or fetch it with `lentigo-train fetch`."
        )
    metadata = next((folder / name for name in _METADATA_NAMES if (folder / name).is_file()), None)
    if metadata is None:
        raise SourceNotFoundError(
            f"{folder} has no HAM10000_metadata.csv. It comes with the images: "
            "run `lentigo-train fetch`, or copy it there."
        )
    # Kaggle's copy holds every folder twice, once in capitals; use one of each.
    parts: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if _PART.fullmatch(path.name):
            parts.setdefault(path.name.lower().removesuffix(".zip"), path)
    if not parts:
        raise SourceNotFoundError(
            f"{folder} has no HAM10000_images_part_1 and _2, neither as .zip nor as folders. "
            "Run `lentigo-train fetch`, or copy them there."
        )
    return Source(metadata=metadata, parts=tuple(parts[name] for name in sorted(parts)))


def read_metadata(path: Path) -> pd.DataFrame:
    """Read the metadata: one row per image, in the file's order.

    Returns:
        The columns `COLUMNS`, all text except `age` (years, float, NaN if unknown). Columns that
        describe the patient are empty if the file lacks them.

    Raises:
        MetadataError: the file is unreadable or lacks a needed column or value, or has an unknown
            diagnosis, an image twice, or a lesion with two diagnoses.
    """
    try:
        # pandas detects the separator: Dataverse also serves the table tab-separated.
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
        "row",
        "without lesion, image or diagnosis",
        table[
            (table["lesion_id"] == "") | (table["image_id"] == "") | (table["dx"] == "")
        ].index.map(lambda row: f"line {row + 2}"),
    )
    _refuse(path, "image", "listed twice", table["image_id"][table["image_id"].duplicated()])
    unknown = table[~table["dx"].isin(CODES)]
    _refuse(
        path,
        "diagnosis",
        f"other than {', '.join(CODES)}",
        [f"{image} ({dx})" for image, dx in zip(unknown["image_id"], unknown["dx"], strict=True)],
    )
    kinds = table.groupby("lesion_id")["dx"].nunique()
    _refuse(path, "lesion", "with more than one diagnosis", kinds[kinds > 1].index)
    table["age"] = pd.to_numeric(table["age"], errors="coerce")
    return table


def require_images(table: pd.DataFrame, available: Collection[str], where: Path) -> None:
    """Check that every image of the metadata is there.

    Raises:
        MetadataError: images without a file; the message names the first.
    """
    _refuse(
        where,
        "image",
        "that none of the archives or folders beside it holds; is one of them missing?",
        [image for image in table["image_id"] if image not in available],
    )


@contextmanager
def open_images(source: Source) -> Iterator[Mapping[str, ImageReader]]:
    """Open every part; yield a reader for each image, by its name without suffix.

    Readers may be called from several threads.

    Raises:
        DamagedArchiveError: an archive is cut off or is not an archive.
        SourceNotFoundError: a part cannot be opened.
    """
    with ExitStack() as stack:
        readers: dict[str, ImageReader] = {}
        for part in source.parts:
            for name, reader in images_of(part, stack):
                readers.setdefault(name, reader)
        yield readers


def images_of(part: Path, stack: ExitStack) -> Iterator[tuple[str, ImageReader]]:
    """Yield the images of a folder or zip archive, at any depth: name without suffix, and reader.

    Args:
        part: folder or archive.
        stack: closes the archive; until then the readers work, also from several threads.

    Raises:
        DamagedArchiveError: the archive is cut off or is not an archive.
        SourceNotFoundError: the part cannot be opened.
    """
    return _in_folder(part) if part.is_dir() else _in_archive(part, stack)


def join_names(names: Iterable[object]) -> str:
    """Join names, at most ten of them: "a, b, c", "a, b, c, d, e, f, g, h, i, j and 5 more"."""
    texts = [str(name) for name in names]
    more = f" and {len(texts) - SHOWN:,} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more


def _refuse(path: Path, noun: str, what: str, items: Collection[str]) -> None:
    if not len(items):
        return
    raise MetadataError(f"{path} has {pluralize(len(items), noun)} {what}: {join_names(items)}.")


def _in_folder(part: Path) -> Iterator[tuple[str, ImageReader]]:
    for path in sorted(part.rglob("*")):
        if _is_image(path.name) and path.is_file():
            yield path.stem, path.read_bytes


def _in_archive(part: Path, stack: ExitStack) -> Iterator[tuple[str, ImageReader]]:
    try:
        archive = stack.enter_context(zipfile.ZipFile(part))
    except zipfile.BadZipFile as error:
        raise DamagedArchiveError(
            f"{part} is cut off or is not a zip archive. Delete it and fetch it again."
        ) from error
    except OSError as error:
        raise SourceNotFoundError(f"{part} cannot be opened: {error.strerror}.") from error
    for entry in archive.infolist():
        path = PurePosixPath(entry.filename)
        if not entry.is_dir() and _is_image(path.name) and "__MACOSX" not in path.parts:
            yield path.stem, _Member(archive, entry)


@dataclass(frozen=True, slots=True)
class _Member:
    archive: zipfile.ZipFile
    entry: zipfile.ZipInfo

    def __call__(self) -> bytes:
        return self.archive.read(self.entry)


def _is_image(name: str) -> bool:
    return name.lower().endswith(_IMAGE_SUFFIXES) and not name.startswith(".")
