"""Made-up collections on disk, and their import."""

import csv
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lentigo_trainer.data.extra.duplicates import ExactIndex
from lentigo_trainer.data.extra.importing import Imported, import_images
from lentigo_trainer.data.extra.licenses import parse_license
from lentigo_trainer.data.extra.set_tables import ImportOptions
from lentigo_trainer.system.progress import LineProgress
from tests.fakes import jpeg_bytes, lesion_image

SIZE = (64, 48)


def picture(number: int, code: str = "nv") -> bytes:
    """A made-up lesion as a JPEG."""
    return jpeg_bytes(lesion_image(number, code, SIZE))


def write_table(path: Path, *rows: Sequence[str]) -> Path:
    """Write a table; the first row is its header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def write_images(folder: Path, *names: str) -> Path:
    """Write a different image under each name."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        (folder / f"{name}.jpg").write_bytes(picture(number))
    return folder


def write_archive(path: Path, members: Mapping[str, bytes], compressed: bool = False) -> Path:
    """Write a zip archive."""
    how = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def imported(
    to: Path,
    *parts: Path,
    known: ExactIndex | None = None,
    license: str | None = "CC BY-NC 4.0",  # noqa: A002 - as the option
    said: list[str] | None = None,
    kept_out_share: float = 0.3,
    metadata: tuple[Path, ...] = (),
) -> Imported:
    """Import into the folder `to`, as the set `others`."""
    options = ImportOptions(
        name="others",
        parts=parts,
        metadata=metadata,
        license=None if license is None else parse_license(license),
        workers=1,
        kept_out_share=kept_out_share,
    )
    lines = [] if said is None else said
    return import_images(options, to, known or ExactIndex(), (), LineProgress(lines.append))
