"""The Secondary Capture: the image with the network's map and the notice in its pixels."""

import io
from datetime import datetime
from typing import Final

from PIL import Image
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, SecondaryCaptureImageStorage

from lentigo_contract.fhir.codes import DIAGNOSIS_NAMES
from lentigo_contract.fhir.observations import conclusion
from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_contract.prediction import Prediction
from lentigo_gateway.answers import Answer
from lentigo_gateway.dicom_results.concepts import dicom_concept
from lentigo_gateway.dicom_results.header import (
    copy_attributes,
    prediction_of,
    reference_to,
    require_identity,
    result_dataset,
    text_of,
)
from lentigo_gateway.dicom_results.overlay import Pixels, draw_overlay
from lentigo_gateway.dicom_results.source import frame_picture
from lentigo_gateway.rules import OUR_MANUFACTURER
from lentigo_gateway.uids import UidMaker

# PS3.16, CID 7202: what the image was derived from.
_SOURCE: Final = dicom_concept("121322", "Source image for image processing operation")

# As far as the image says it. Its body part is left out: whether that has two sides decides whether
# Laterality may be there, and lists of such parts differ.
_OF_THE_PICTURE: Final = ("BurnedInAnnotation", "RecognizableVisualFeatures")
# The words stay sharp, and it is a tenth of the plain pixels.
_QUALITY: Final = 90
# Behind the series of the cameras.
_SERIES_NUMBER: Final = 9002
_SIDES: Final = ("L", "R")


def secondary_capture(
    image: Dataset, answer: Answer, map_png: bytes, *, made_at: datetime, uids: UidMaker
) -> Dataset:
    """Return a picture of the image with the map over it, and what the model said below it.

    The words name no patient, so `BurnedInAnnotation` is that of the image. The same arguments give
    the same picture.

    Args:
        image: the instance, with its pixels.
        answer: to the image, or to one frame of it.
        map_png: the activation map; empty for an answer without one.
        made_at: when it was made, with a time zone.
        uids: gives `secondary-capture` and `secondary-capture-series`, for a frame with its number
            behind a stroke.

    Raises:
        NotDicomError: the image does not say which instance it is.
        PixelsError: the pixels or the map cannot be decoded.
        TryAgainError: the answer lacks a member, or has a value that it cannot have.
    """
    require_identity(image)
    prediction = prediction_of(answer)
    lines = _lines(prediction, with_map=bool(map_png))
    pixels = draw_overlay(frame_picture(image, answer.frame), map_png, lines)
    which = "" if answer.frame is None else f"/{answer.frame}"
    result = result_dataset(
        image,
        prediction,
        sop_class_uid=SecondaryCaptureImageStorage,
        instance_uid=uids(f"secondary-capture{which}"),
        series_uid=uids("secondary-capture-series"),
        series_number=_SERIES_NUMBER,
        made_at=made_at,
    )
    result.InstanceNumber = str(answer.frame or 1)
    result.Modality = "OT"
    result.SeriesDescription = f"{OUR_MANUFACTURER}: map, research use only"
    result.ConversionType = "WSD"
    result.DateOfSecondaryCapture = result.ContentDate
    result.TimeOfSecondaryCapture = result.ContentTime
    result.ImageType = ["DERIVED", "SECONDARY"]
    result.DerivationDescription = _derivation(prediction, with_map=bool(map_png))
    result.ImageComments = RESEARCH_NOTICE
    source = reference_to(image, answer.frame)
    source.PurposeOfReferenceCodeSequence = [_SOURCE]
    result.SourceImageSequence = [source]
    copy_attributes(image, result, _OF_THE_PICTURE)
    _orient(image, result)
    _add_pixels(result, pixels)
    return result


def _lines(prediction: Prediction, *, with_map: bool) -> list[str]:
    """Return the words below the picture; the notice first."""
    lines = [RESEARCH_NOTICE, *conclusion(prediction)[:-1]]
    if with_map and prediction.diagnosis is not None:
        name = DIAGNOSIS_NAMES[prediction.diagnosis.code]
        lines.append(f"Colour: what speaks for {name}; red most.")
    model = prediction.model
    digest = f", SHA-256 {model.digest[:16]}..." if model.digest else ""
    lines.append(f"By {OUR_MANUFACTURER}, model {model.name} {model.version}{digest}")
    return lines


def _derivation(prediction: Prediction, *, with_map: bool) -> str:
    model = prediction.model
    what = "activation map over the image" if with_map else "image"
    return (
        f"Scaled; {what}; the answer of {OUR_MANUFACTURER}, model {model.name} {model.version}, "
        f"below it. {RESEARCH_NOTICE}"
    )


def _orient(image: Dataset, result: Dataset) -> None:
    """Take over side and orientation; type 2C, so empty where the image does not say them.

    PS3.3, C.7.3.1.1.1 and C.7.6.1.1.1.
    """
    side = text_of(image, "ImageLaterality") or text_of(image, "Laterality")
    result.Laterality = side if side in _SIDES else ""
    try:
        orientation = list(image.get("PatientOrientation") or ())
    except (TypeError, ValueError):
        orientation = []
    known = len(orientation) == 2 and all(
        each and set(str(each)) <= set("ALRPHF") for each in orientation
    )
    result.PatientOrientation = [str(each) for each in orientation] if known else None


def _add_pixels(result: Dataset, pixels: Pixels) -> None:
    """Add the picture as JPEG Baseline, which every viewer of Secondary Captures shows."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=_QUALITY, subsampling="4:2:2")
    jpeg = file.getvalue()
    result.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    result.SamplesPerPixel = 3
    result.PhotometricInterpretation = "YBR_FULL_422"
    result.PlanarConfiguration = 0
    result.Rows, result.Columns = pixels.shape[:2]
    result.BitsAllocated = result.BitsStored = 8
    result.HighBit = 7
    result.PixelRepresentation = 0
    # PS3.3, C.7.6.1.1.5.
    result.LossyImageCompression = "01"
    result.LossyImageCompressionRatio = f"{pixels.size / len(jpeg):.1f}"
    result.LossyImageCompressionMethod = "ISO_10918_1"
    result.PixelData = encapsulate([jpeg])
    result["PixelData"].VR = "OB"
    result["PixelData"].is_undefined_length = True
