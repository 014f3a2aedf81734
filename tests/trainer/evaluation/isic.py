"""Made-up image sets in the format of ISIC 2018 Task 3."""

import csv
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lentigo_contract.labels import CODES
from tests.fakes import jpeg_bytes, lesion_image

HEAD = ("image", "MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
SIZE = (64, 48)

# The images of a set, by name: what each shows.
Shown = Mapping[str, str]

SEVEN: Shown = {f"ISIC_{number:07}": code for number, code in enumerate(CODES, start=9_000_001)}


def one_hot(name: str, *codes: str) -> tuple[str, ...]:
    """A row of ground truth."""
    return (name, *("1.0" if column.lower() in codes else "0.0" for column in HEAD[1:]))


def write_table(path: Path, rows: Sequence[Sequence[str]], head: Sequence[str] = HEAD) -> Path:
    """Write ground truth, whatever is wrong with it."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *rows])
    return path


def write_truth(path: Path, shown: Shown = SEVEN) -> Path:
    """Write ground truth with nothing wrong."""
    return write_table(path, [one_hot(name, code) for name, code in shown.items()])


def pictures(shown: Shown = SEVEN) -> dict[str, bytes]:
    """Draw the images: file name and bytes."""
    return {
        f"{name}.jpg": jpeg_bytes(lesion_image(number, code, SIZE))
        for number, (name, code) in enumerate(shown.items())
    }


def write_images(folder: Path, shown: Shown = SEVEN) -> Path:
    """Write the images as files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in pictures(shown).items():
        (folder / name).write_bytes(data)
    return folder


def write_archive(path: Path, shown: Shown = SEVEN, within: str = "images/") -> Path:
    """Write the images as a zip archive."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in pictures(shown).items():
            archive.writestr(within + name, data)
    return path
