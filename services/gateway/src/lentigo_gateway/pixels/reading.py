"""Untrusted bytes -> a DICOM data set that says which instance it is."""

import io
from typing import Final

from pydicom import Dataset, dcmread
from pydicom.uid import UID

from lentigo_gateway.errors import BoundsError, NotDicomError
from lentigo_gateway.rules import InstanceHeader
from lentigo_gateway.worklist.entries import UID_PATTERN, Found

# A deflated data set may become a thousand times as large; no photograph is sent so. Its transfer
# syntax stands in the file meta information, at the beginning.
_DEFLATED: Final = b"1.2.840.10008.1.2.1.99"
_META_BYTES: Final = 2_048
_NO_INSTANCE: Final = "It is not DICOM, or does not say which instance it is."


def read_dataset(data: bytes, max_bytes: int) -> Dataset:
    """Read a DICOM file, also one without a preamble, as some archives give them.

    Nothing of the pixels is decoded.

    Args:
        data: the file.
        max_bytes: how many it may have.

    Raises:
        BoundsError: it has more.
        NotDicomError: it is not DICOM, is damaged, or lacks one of its UIDs.
    """
    if len(data) > max_bytes:
        raise BoundsError(f"The instance has {len(data):,} bytes; at most {max_bytes:,} are read.")
    if _DEFLATED in data[:_META_BYTES]:
        raise NotDicomError("It is deflated, which is not read. Send it uncompressed or as JPEG.")
    try:
        dataset = dcmread(io.BytesIO(data), force=True)
        uids = [
            str(dataset.get(name, ""))
            for name in (
                "SOPClassUID",
                "SOPInstanceUID",
                "SeriesInstanceUID",
                "StudyInstanceUID",
            )
        ]
    except Exception as error:
        # pydicom meets hostile bytes here and fails in every way there is. Its messages may quote
        # the data set, so they go no further.
        raise NotDicomError("It is not DICOM, or damaged.") from error
    if not all(UID_PATTERN.fullmatch(uid) for uid in uids):
        raise NotDicomError(_NO_INSTANCE)
    if not getattr(dataset, "file_meta", None) or "TransferSyntaxUID" not in dataset.file_meta:
        _name_transfer_syntax(dataset)
    return dataset


def header_of(dataset: Dataset) -> InstanceHeader:
    """Return what rules look at."""
    return InstanceHeader(
        sop_class=_text(dataset, "SOPClassUID"),
        modality=_text(dataset, "Modality"),
        body_site=_text(dataset, "BodyPartExamined"),
        station=_text(dataset, "StationName"),
        descriptions=(_text(dataset, "StudyDescription"), _text(dataset, "SeriesDescription")),
        manufacturer=_text(dataset, "Manufacturer"),
    )


def found_in(dataset: Dataset, locator: str = "") -> Found:
    """Return which instance a data set from `read_dataset` is."""
    return Found(
        str(dataset.SOPInstanceUID),
        str(dataset.SeriesInstanceUID),
        str(dataset.StudyInstanceUID),
        locator,
    )


def _text(dataset: Dataset, keyword: str) -> str:
    try:
        return str(dataset.get(keyword, "") or "")
    except Exception:  # noqa: BLE001 - a damaged value, which is as good as none
        return ""


def _name_transfer_syntax(dataset: Dataset) -> None:
    """Note the uncompressed transfer syntax that the data was read as.

    Without file meta information, pydicom finds out which of the three it is. Compressed pixels
    without it cannot be told apart, and then decoding them fails.
    """
    explicit, little = dataset.original_encoding[0] is False, dataset.original_encoding[1]
    if not explicit:
        syntax = "1.2.840.10008.1.2"
    else:
        syntax = "1.2.840.10008.1.2.1" if little else "1.2.840.10008.1.2.2"
    dataset.ensure_file_meta()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
