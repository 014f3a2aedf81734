"""DICOM instances made by code, whole ones and hostile ones."""

import io
from typing import Any, Final

import numpy as np
from PIL import Image
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit

from lentigo_gateway.rules import IMAGE_CLASSES
from tests.fakes import jpeg_bytes, lesion_image

DERMOSCOPIC: Final = IMAGE_CLASSES["dermoscopic"]
STUDY: Final = "1.2.826.0.1.3680043.8.498.1"
SERIES: Final = "1.2.826.0.1.3680043.8.498.2"
PATIENT_NAME: Final = "Roe^Richarda"
PATIENT_ID: Final = "MRN-0815-4711"


def dermoscopic(number: int = 1, study: str = STUDY, **changes: Any) -> Dataset:
    """Give a dermoscopic photograph, JPEG Baseline, with all that its IOD asks for.

    `changes` are attributes by keyword; None removes one.
    """
    picture = lesion_image(number % 20)
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    image.SOPClassUID = UID(DERMOSCOPIC)
    image.SOPInstanceUID = UID(f"{study}.3.{number}")
    image.StudyInstanceUID = UID(study)
    image.SeriesInstanceUID = UID(f"{study}.2")
    image.SpecificCharacterSet = "ISO_IR 192"
    image.PatientName = PATIENT_NAME
    image.PatientID = PATIENT_ID
    image.PatientBirthDate = "19700101"
    image.PatientSex = "F"
    image.StudyDate = "20261130"
    image.StudyTime = "101500"
    image.StudyID = "1"
    image.AccessionNumber = "A1"
    image.ReferringPhysicianName = ""
    image.Modality = "DMS"
    image.SeriesNumber = 1
    image.InstanceNumber = number
    image.Manufacturer = "Made by code"
    image.StationName = "DERM1"
    image.BodyPartExamined = "SKIN"
    image.StudyDescription = "Skin check"
    image.SeriesDescription = "Dermoscopy"
    image.ContentDate = "20261130"
    image.ContentTime = "101500"
    image.AcquisitionDateTime = "20261130101500"
    image.ImageType = ["ORIGINAL", "PRIMARY"]
    image.PatientOrientation = ""
    image.Laterality = ""
    image.BurnedInAnnotation = "NO"
    image.LossyImageCompression = "01"
    image.LossyImageCompressionRatio = "10"
    image.LossyImageCompressionMethod = "ISO_10918_1"
    _describe(image, picture, "YBR_FULL_422")
    image.PixelData = encapsulate([jpeg_bytes(picture)])
    return changed(image, **changes)


def uncompressed(
    pixels: np.ndarray[Any, Any], interpretation: str = "RGB", **changes: Any
) -> Dataset:
    """Give an instance with these pixels, uint8 [rows, columns] or [rows, columns, 3]."""
    image = dermoscopic(LossyImageCompression="00")
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    _describe(image, Image.fromarray(pixels), interpretation)
    image.PixelData = pixels.tobytes()
    image["PixelData"].VR = "OB"
    return changed(image, **changes)


def multi_frame(frames: int, **changes: Any) -> Dataset:
    """Give an instance with several frames, JPEG Baseline."""
    pictures = [jpeg_bytes(lesion_image(number % 20)) for number in range(frames)]
    image = dermoscopic(NumberOfFrames=frames)
    image.PixelData = encapsulate(pictures)
    return changed(image, **changes)


def changed(image: Dataset, **changes: Any) -> Dataset:
    for keyword, value in changes.items():
        if value is None:
            if keyword in image:
                delattr(image, keyword)
        else:
            setattr(image, keyword, value)
    return image


def file_of(image: Dataset) -> bytes:
    """Give the DICOM file of an instance."""
    file = io.BytesIO()
    image.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _describe(image: Dataset, picture: Image.Image, interpretation: str) -> None:
    colour = picture.mode == "RGB"
    image.SamplesPerPixel = 3 if colour else 1
    image.PhotometricInterpretation = interpretation
    if colour:
        image.PlanarConfiguration = 0
    image.Rows, image.Columns = picture.height, picture.width
    image.BitsAllocated = 8
    image.BitsStored = 8
    image.HighBit = 7
    image.PixelRepresentation = 0
