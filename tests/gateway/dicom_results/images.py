"""DICOM instances of lesions that are drawn by code, and answers to them."""

from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from PIL import Image
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit

from lentigo_gateway.answers import Answer
from lentigo_gateway.uids import uid_maker
from tests.fakes import jpeg_bytes, lesion_image
from tests.images import encoded
from tests.predictions import DIGEST, answer_document

DERMOSCOPIC: Final = "1.2.840.10008.5.1.4.1.1.77.1.7"
PHOTOGRAPH: Final = "1.2.840.10008.5.1.4.1.1.77.1.4"
MULTI_FRAME: Final = "1.2.840.10008.5.1.4.1.1.7.4"

AT: Final = datetime(2026, 11, 30, 10, 0, 1, tzinfo=UTC)
UIDS: Final = uid_maker("2.25.3", DIGEST)


def instance(pixels: Image.Image | None = None, **attributes: Any) -> Dataset:
    """Make an uncompressed dermoscopic image; `attributes` take the place of its own.

    One that is None is left out.
    """
    picture = pixels or lesion_image(3, "mel", size=(300, 225))
    array = np.asarray(picture)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    values: dict[str, Any] = {
        "SOPClassUID": DERMOSCOPIC,
        "SOPInstanceUID": "2.25.3",
        "StudyInstanceUID": "2.25.1",
        "SeriesInstanceUID": "2.25.2",
        "StudyID": "1",
        "AccessionNumber": "A-17",
        "StudyDate": "20261130",
        "StudyTime": "095500",
        "ReferringPhysicianName": "Doe^Jane",
        "PatientName": "Test^Patient",
        "PatientID": "4711",
        "PatientBirthDate": "19700101",
        "PatientSex": "F",
        "Modality": "DMS",
        "Manufacturer": "A camera's",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "BodyPartExamined": "BACK",
        "Laterality": "L",
        "PatientOrientation": ["L", "F"],
        "BurnedInAnnotation": "NO",
        "LossyImageCompression": "00",
        "SamplesPerPixel": 3 if array.ndim == 3 else 1,
        "PhotometricInterpretation": "RGB" if array.ndim == 3 else "MONOCHROME2",
        "PlanarConfiguration": 0 if array.ndim == 3 else None,
        "Rows": array.shape[0],
        "Columns": array.shape[1],
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
        "PixelData": array.tobytes() + bytes(array.size % 2),
    }
    for keyword, value in {**values, **attributes}.items():
        if value is not None:
            setattr(dataset, keyword, value)
    if "PixelData" in dataset:
        dataset["PixelData"].VR = "OB"
    return with_meta(dataset)


def jpeg_instance(frames: int = 1, **attributes: Any) -> Dataset:
    """Make one with frames in JPEG Baseline, as cameras do."""
    files = [jpeg_bytes(lesion_image(seed, "nv", size=(300, 225))) for seed in range(frames)]
    dataset = instance(
        PhotometricInterpretation="YBR_FULL_422", LossyImageCompression="01", **attributes
    )
    if frames > 1:
        dataset.SOPClassUID = MULTI_FRAME
        dataset.NumberOfFrames = frames
    dataset.PixelData = encapsulate(files)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    return dataset


def with_meta(dataset: Dataset) -> Dataset:
    """Name the instance in its file meta information, where it has a name."""
    if "SOPClassUID" in dataset and "SOPInstanceUID" in dataset:
        dataset.file_meta.MediaStorageSOPClassUID = UID(dataset.SOPClassUID)
        dataset.file_meta.MediaStorageSOPInstanceUID = UID(dataset.SOPInstanceUID)
    return dataset


def answer(document: dict[str, Any] | None = None, frame: int | None = None) -> Answer:
    """Make the answer to an image."""
    prediction = document or answer_document()
    return Answer(prediction, dict(prediction["model"]), AT, frame)


def map_png(side: int = 56, mode: str = "L") -> bytes:
    """Draw a map that is white in the middle."""
    down, across = np.mgrid[0:side, 0:side]
    distance = np.hypot(down - side / 2, across - side / 2) / side
    grey = (255 * np.clip(1 - 3 * distance, 0, 1)).astype(np.uint8)
    return encoded(Image.fromarray(grey).convert(mode), "PNG")
