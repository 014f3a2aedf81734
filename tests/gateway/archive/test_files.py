"""Results as files: the bytes that pydicom's own writer gives."""

from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO

from lentigo_gateway.archive.files import file_bytes
from lentigo_gateway.dicom_results import secondary_capture, structured_report
from tests.gateway.dicom import dermoscopic, multi_frame, uncompressed
from tests.gateway.dicom_results.images import AT, UIDS, answer, instance, jpeg_instance, map_png
from tests.gateway.dicom_results.standard import written
from tests.predictions import refusal_document

NAMES = ("Roe^Richarda", "Müller^Jürg", "山田^太郎=ヤマダ^タロウ", "A" * 63, "", None)
CHARACTER_SETS = ("ISO_IR 192", "ISO_IR 100", None, ["ISO 2022 IR 6", "ISO 2022 IR 87"])


@pytest.mark.parametrize("characters", CHARACTER_SETS, ids=str)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore:Failed to encode value")  # as in the program
def test_a_report_is_what_pydicom_writes(name: str | None, characters: Any) -> None:
    image = instance(PatientName=name, SpecificCharacterSet=characters, StudyDescription="Größe")
    made = structured_report(image, [answer()], made_at=AT, uids=UIDS)
    assert file_bytes(made) == written(made)


@pytest.mark.parametrize(
    "image",
    [instance(), jpeg_instance(), instance(PatientOrientation=["L", "F"], AccessionNumber="1")],
    ids=["plain", "JPEG", "oriented"],
)
def test_a_picture_is_what_pydicom_writes(image: Dataset) -> None:
    made = secondary_capture(image, answer(), map_png(), made_at=AT, uids=UIDS)
    assert file_bytes(made) == written(made)


def test_a_report_without_a_diagnosis_is_what_pydicom_writes() -> None:
    said = [answer(refusal_document())]
    made = structured_report(jpeg_instance(), said, made_at=AT, uids=UIDS)
    assert file_bytes(made) == written(made)


@pytest.mark.parametrize(
    "image", [dermoscopic(1), multi_frame(3), uncompressed(instance().pixel_array)], ids=str
)
def test_other_objects_are_what_pydicom_writes(image: Dataset) -> None:
    again = dcmread(DicomBytesIO(written(image)))
    assert file_bytes(again) == written(again)
