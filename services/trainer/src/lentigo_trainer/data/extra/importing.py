"""The import, top to bottom: read metadata, choose, decode, drop duplicates, write the set."""

import json
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import pandas as pd

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_trainer.data.dataset import DECODER
from lentigo_trainer.data.extra.archives import Contents, open_contents, table_at
from lentigo_trainer.data.extra.decoding import Files, ReadImage, Unreadable, read_images
from lentigo_trainer.data.extra.diagnoses import diagnosis_table
from lentigo_trainer.data.extra.duplicates import DuplicateIndex, ExactIndex
from lentigo_trainer.data.extra.groups import KEPT_OUT_SHARE, group_names
from lentigo_trainer.data.extra.imported_set import (
    COLUMNS,
    IMAGES,
    LEFT_OUT,
    PIXELS,
    RECORDS,
    SUMMARY,
    SetSummary,
    group_id,
    read_summary,
)
from lentigo_trainer.data.extra.licenses import License, strictest
from lentigo_trainer.data.extra.metadata import MetadataRow, read_rows
from lentigo_trainer.data.extra.selection import (
    NO_IMAGE,
    NO_METADATA,
    LeftOut,
    UsableRow,
    usable_rows,
)
from lentigo_trainer.data.provenance import digest_of
from lentigo_trainer.errors import ImportedSetError, MetadataError
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import locked, require_space, storage_errors, write_whole

KNOWN: Final = "a duplicate"
TWICE: Final = "the same picture as another image of the set"
TWICE_TORN: Final = "the same picture as another image of the set, with another diagnosis"

_PIXEL_BYTES: Final = MODEL_SIDE * MODEL_SIDE * 3

_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)
"""Of every member of `images.zip`, so that the same images give the same bytes."""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What to import, and how.

    Attributes:
        name: of the set.
        parts: folders and archives that hold the images, and tables if `metadata` names none.
        metadata: tables of the images.
        license: of images whose row states none.
        workers: threads that decode.
        kept_out_share: share of the groups that never train.
    """

    name: str
    parts: tuple[Path, ...]
    metadata: tuple[Path, ...]
    license: License | None
    workers: int
    kept_out_share: float = KEPT_OUT_SHARE


@dataclass(frozen=True, slots=True)
class Imported:
    """A finished import.

    Attributes:
        summary: of the set.
        left_out: what was not imported.
    """

    summary: SetSummary
    left_out: LeftOut


def import_images(
    options: ImportOptions,
    to: Path,
    known: DuplicateIndex,
    compared_with: Sequence[str],
    progress: Progress,
) -> Imported:
    """Import a collection into a set of its own.

    What cannot be used is left out and counted, and does not stop the rest.

    Args:
        options: what to import.
        to: folder of the set; made if it is missing.
        known: images that must not be imported, such as those of evaluation sets.
        compared_with: what `known` holds, in words.
        progress: shows how many images are done, and a line for each reason to leave images out.

    Raises:
        ImportedSetError: the folder holds a set already.
        MetadataError: the tables cannot be read, or no image is left.
        LicenseError: rows state no licence, and `options` neither.
        SourceNotFoundError: a folder, archive or table is missing.
        DamagedArchiveError: an archive is cut off.
        UnsafeArchiveError: an archive leads out of itself, or is a zip bomb.
        StorageError: the disk is full or not writable.
    """
    if read_summary(to) is not None:
        raise ImportedSetError(
            f"{to} holds an imported set already. Choose another --to, or delete that folder."
        )
    left_out = LeftOut()
    with open_contents(options.parts) as contents:
        chosen = _choose(options, contents, left_out)
        with locked(to):
            require_space(to, len(chosen) * _PIXEL_BYTES)
            files = [(name, contents.images[name]) for name in chosen]
            kept = _write_images(to, files, chosen, known, left_out, options.workers, progress)
            for line in left_out.lines():
                progress.say(line)
            if not kept.images:
                raise MetadataError(f"No image is left to import. {' '.join(left_out.lines())}")
            summary = _write_tables(to, options, chosen, kept, compared_with, left_out)
    return Imported(summary, left_out)


def _choose(options: ImportOptions, contents: Contents, left_out: LeftOut) -> dict[str, UsableRow]:
    """Return the images with a usable row, by name and in the order of their names."""
    tables = [table_at(path) for path in options.metadata] or contents.tables
    rows = read_rows(tables)
    for name in contents.images.keys() - {row.image for row in rows}:
        left_out.add(NO_METADATA, name)
    usable = usable_rows(rows, diagnosis_table(), options.license, left_out)
    chosen = {each.row.image: each for each in usable}
    for name in chosen.keys() - contents.images.keys():
        left_out.add(NO_IMAGE, name)
    return {name: row for name, row in chosen.items() if name in contents.images}


@dataclass(slots=True)
class _Kept:
    """The images that were written, in their order; and pairs of images with the same picture."""

    images: list["_Written"]
    same: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Written:
    name: str
    sha256: str
    width: int
    height: int


def _write_images(
    to: Path,
    files: Sequence[Files],
    chosen: Mapping[str, UsableRow],
    known: DuplicateIndex,
    left_out: LeftOut,
    workers: int,
    progress: Progress,
) -> _Kept:
    """Write `images.zip` and `images.u8`, without duplicates and what cannot be decoded."""
    kept, own = _Kept([], []), ExactIndex()
    torn: set[str] = set()

    def write(archive: zipfile.ZipFile, pixels: BinaryIO) -> None:
        for outcome in read_images(files, workers, progress, "Importing"):
            if isinstance(outcome, Unreadable):
                left_out.add(outcome.reason, outcome.name)
                continue
            compared = outcome.compared()
            if (elsewhere := known.find(compared)) is not None:
                left_out.add(f"{KNOWN} of {elsewhere.rpartition(' of ')[2]}", outcome.name)
            elif (earlier := own.find(compared)) is not None:
                kept.same.append((earlier, outcome.name))
                if chosen[earlier].code == chosen[outcome.name].code:
                    left_out.add(TWICE, outcome.name)
                else:
                    torn.update((earlier, outcome.name))
            else:
                own.add(compared, outcome.name)
                kept.images.append(_write_image(outcome, archive, pixels))

    with (
        storage_errors(to),
        zipfile.ZipFile(to / IMAGES, "w") as archive,
        (to / PIXELS).open("wb") as pixels,
    ):
        write(archive, pixels)
    if torn:
        for name in sorted(torn):
            left_out.add(TWICE_TORN, name)
        rows = [row for row, image in enumerate(kept.images) if image.name not in torn]
        _keep_rows(to / PIXELS, rows, len(kept.images))
        kept.images = [kept.images[row] for row in rows]
    return kept


def _write_image(image: ReadImage, archive: zipfile.ZipFile, pixels: BinaryIO) -> _Written:
    # Images are compressed already.
    entry = zipfile.ZipInfo(image.name + image.suffix, _ZIP_TIME)
    archive.writestr(entry, image.data, zipfile.ZIP_STORED)
    pixels.write(image.image.pixels.tobytes())
    return _Written(image.name, image.sha256, image.image.width, image.image.height)


def _keep_rows(path: Path, rows: Sequence[int], count: int) -> None:
    """Keep some rows of `images.u8`; the encoded images of the others stay in `images.zip`."""
    images = np.memmap(path, np.uint8, "r", shape=(count, _PIXEL_BYTES))

    def write(file: BinaryIO) -> None:
        file.writelines(images[row].tobytes() for row in rows)

    write_whole(path, write)


def _write_tables(
    to: Path,
    options: ImportOptions,
    chosen: Mapping[str, UsableRow],
    kept: _Kept,
    compared_with: Sequence[str],
    left_out: LeftOut,
) -> SetSummary:
    """Write `records.csv`, `left-out.csv` and, last, `set.json`."""
    groups = group_names([each.row for each in chosen.values()], kept.same)
    # A table that states sizes does so because the files have others.
    stated = any(_stated_size(each.row) for each in chosen.values())
    rows = [
        {
            **_record(chosen[image.name], image, stated),
            "lesion_id": group_id(options.name, groups[image.name]),
        }
        for image in kept.images
    ]
    records = pd.DataFrame(rows, columns=list(COLUMNS))
    licenses = [chosen[image.name].license for image in kept.images]
    attributions = [row for row in records["attribution"] if row]
    identity = records[["image_id", "dx", "lesion_id", "sha256"]]
    summary = SetSummary(
        name=options.name,
        decoder=DECODER,
        images=len(records),
        groups=records["lesion_id"].nunique(),
        classes=dict(sorted(Counter(records["dx"]).items())),
        kept_out_share=options.kept_out_share,
        license=str(strictest(licenses)),
        licenses=dict(sorted(Counter(map(str, licenses)).items())),
        attributions=dict(sorted(Counter(attributions).items())),
        left_out=left_out.counts(),
        compared_with=tuple(compared_with),
        digest=digest_of(" ".join(row) for row in identity.itertuples(index=False)),
    )
    missing = [(name, why) for why, names in left_out.names.items() for name in names]
    reasons = pd.DataFrame(sorted(missing), columns=["image_id", "reason"])
    text = json.dumps(summary.model_dump(mode="json"), indent=2) + "\n"
    write_whole(to / RECORDS, records.to_csv(index=False).encode())
    write_whole(to / LEFT_OUT, reasons.to_csv(index=False).encode())
    write_whole(to / SUMMARY, text.encode())
    return summary


def _record(usable: UsableRow, image: _Written, stated: bool) -> dict[str, object]:
    row = usable.row
    width, height = _stated_size(row) or ((0, 0) if stated else (image.width, image.height))
    return {
        "image_id": image.name,
        "dx": usable.code,
        "age": _number(row.age),
        "sex": row.sex,
        "localization": row.site,
        "dx_type": row.confirmation,
        "patient_id": row.patient,
        "license": str(usable.license),
        "attribution": row.attribution,
        "width": width,
        "height": height,
        "sha256": image.sha256,
    }


def _stated_size(row: MetadataRow) -> tuple[int, int] | None:
    if not (row.width.isdecimal() and row.height.isdecimal()):
        return None
    width, height = int(row.width), int(row.height)
    return (width, height) if width and height else None


def _number(text: str) -> str:
    try:
        return f"{float(text):g}"
    except ValueError:
        return ""
