"""The import, top to bottom: read metadata, choose, decode, drop duplicates, write the set."""

import hashlib
import re
import zipfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_trainer.data.dataset import UNREADABLE
from lentigo_trainer.data.extra.archives import ImageFile, open_contents, table_at
from lentigo_trainer.data.extra.decoding import Files, ReadImage, Unreadable, read_images
from lentigo_trainer.data.extra.diagnoses import diagnosis_table
from lentigo_trainer.data.extra.duplicates import DuplicateIndex, ExactIndex
from lentigo_trainer.data.extra.imported_set import (
    IMAGES,
    PIXELS,
    SetSummary,
    read_summary,
)
from lentigo_trainer.data.extra.metadata import MetadataRow, read_metadata_tables
from lentigo_trainer.data.extra.selection import (
    NO_IMAGE,
    NO_METADATA,
    LeftOut,
    UsableRow,
    usable_rows,
)
from lentigo_trainer.data.extra.set_tables import (
    ImportOptions,
    WrittenImage,
    WrittenImages,
    write_tables,
)
from lentigo_trainer.errors import ImportedSetError, MetadataError
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import locked, require_space, storage_errors, write_whole

KNOWN: Final = "a duplicate"
TWICE: Final = "the same picture as another image of the set"
TWICE_TORN: Final = "the same picture as another image of the set, with another diagnosis"

_PIXEL_BYTES: Final = MODEL_SIDE * MODEL_SIDE * 3

_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)

Images = dict[str, list[ImageFile]]
"""Images by name without suffix; a name may stand for several files."""

_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)
"""Of every member of `images.zip`, so that the same images give the same bytes."""


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
        tables = [table_at(path) for path in options.metadata] or contents.tables
        metadata = read_metadata_tables(tables)
        images = _named_by_digest(contents.images, {row.image for row in metadata.rows})
        chosen = _choose(options, metadata.rows, images, left_out)
        with locked(to):
            require_space(to, len(chosen) * _PIXEL_BYTES)
            files = [(name, images[name]) for name in chosen]
            kept = _write_images(to, files, chosen, known, left_out, options.workers, progress)
            for line in left_out.lines():
                progress.say(line)
            if not kept.images:
                raise MetadataError(f"No image is left to import. {' '.join(left_out.lines())}")
            knows = options.knows or metadata.knows
            summary = write_tables(
                to, options, chosen, kept, left_out, compared_with=compared_with, knows=knows
            )
    return Imported(summary, left_out)


def _named_by_digest(images: Images, wanted: Collection[str]) -> Images:
    """Give images that tables name by the SHA-256 of their bytes that name.

    As `lentigo-inference audit export --format isic` does, whose trail knows no file names. A name
    that tables have stays.

    Args:
        images: by the names of their files.
        wanted: the names in the tables.
    """
    digests = {name for name in wanted if _DIGEST.fullmatch(name)} - images.keys()
    if not digests:
        return images
    named: Images = {}
    for name, files in images.items():
        for file in files:
            digest = "" if name in wanted else _digest_of(file)
            named.setdefault(digest if digest in digests else name, []).append(file)
    return named


def _digest_of(file: ImageFile) -> str:
    try:
        return hashlib.sha256(file.read()).hexdigest()
    except UNREADABLE:
        # Whoever decodes it will say so.
        return ""


def _choose(
    options: ImportOptions, rows: Sequence[MetadataRow], images: Images, left_out: LeftOut
) -> dict[str, UsableRow]:
    """Return the images with a usable row, by name and in the order of their names."""
    for name in images.keys() - {row.image for row in rows}:
        left_out.add(NO_METADATA, name)
    usable = usable_rows(rows, diagnosis_table(), options.license, left_out)
    chosen = {each.row.image: each for each in usable}
    for name in chosen.keys() - images.keys():
        left_out.add(NO_IMAGE, name)
    return {name: row for name, row in chosen.items() if name in images}


def _write_images(
    to: Path,
    files: Sequence[Files],
    chosen: Mapping[str, UsableRow],
    known: DuplicateIndex,
    left_out: LeftOut,
    workers: int,
    progress: Progress,
) -> WrittenImages:
    """Write `images.zip` and `images.u8`, without duplicates and what cannot be decoded."""
    kept, own = WrittenImages([], []), ExactIndex()
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


def _write_image(image: ReadImage, archive: zipfile.ZipFile, pixels: BinaryIO) -> WrittenImage:
    # Images are compressed already.
    entry = zipfile.ZipInfo(image.name + image.suffix, _ZIP_TIME)
    archive.writestr(entry, image.data, zipfile.ZIP_STORED)
    pixels.write(image.image.pixels.tobytes())
    return WrittenImage(image.name, image.sha256, image.image.width, image.image.height)


def _keep_rows(path: Path, rows: Sequence[int], count: int) -> None:
    """Keep some rows of `images.u8`; the encoded images of the others stay in `images.zip`."""
    images = np.memmap(path, np.uint8, "r", shape=(count, _PIXEL_BYTES))

    def write(file: BinaryIO) -> None:
        file.writelines(images[row].tobytes() for row in rows)

    write_whole(path, write)
