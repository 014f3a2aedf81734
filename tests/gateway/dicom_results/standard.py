"""Results held to DICOM by `dciodvfy` (package dicom3tools), where it is installed."""

import io
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from pydicom import Dataset, dcmread

from lentigo_gateway.archive.files import file_bytes


def read_again(dataset: Dataset) -> Dataset:
    """Return what others read of it."""
    return dcmread(io.BytesIO(file_bytes(dataset)))


def errors_of(dataset: Dataset, folder: Path) -> list[str] | None:
    """Return what `dciodvfy` says is wrong; None where it is not installed."""
    program = shutil.which("dciodvfy")
    if program is None:
        return None
    file = folder / "result.dcm"
    file.write_bytes(file_bytes(dataset))
    said = subprocess.run([program, file], capture_output=True, text=True, check=False)
    return re.findall(r"^Error.*$", said.stdout + said.stderr, re.MULTILINE)


def items(dataset: Dataset) -> Iterator[Dataset]:
    """Yield every content item of a report, from the top."""
    yield dataset
    for item in dataset.get("ContentSequence", ()):
        yield from items(item)


def name_of(item: Dataset) -> str:
    """Return what a content item is about."""
    return code_of(item.ConceptNameCodeSequence[0])


def code_of(concept: Dataset) -> str:
    """Return the value of a code, short or long."""
    return str(concept.get("CodeValue") or concept.LongCodeValue)


def numbers(dataset: Dataset) -> dict[str, float]:
    """Return every number of a report by its name."""
    return {
        name_of(item): float(item.MeasuredValueSequence[0].NumericValue)
        for item in items(dataset)
        if item.ValueType == "NUM"
    }


def codes(dataset: Dataset, name: str) -> list[str]:
    """Return the codes that a report gives for a name."""
    return [
        code_of(item.ConceptCodeSequence[0])
        for item in items(dataset)
        if item.ValueType == "CODE" and name_of(item) == name
    ]


def texts(dataset: Dataset) -> list[str]:
    """Return every text of a report."""
    return [str(item.TextValue) for item in items(dataset) if item.ValueType == "TEXT"]
