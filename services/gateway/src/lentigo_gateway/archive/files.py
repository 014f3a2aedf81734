"""Data sets as DICOM files (DICOM PS3.10)."""

import io

from pydicom import Dataset


def file_bytes(dataset: Dataset) -> bytes:
    """Return a data set as a DICOM file: preamble, file meta information, and data."""
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()
