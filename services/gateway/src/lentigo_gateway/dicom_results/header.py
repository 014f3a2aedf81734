"""What every result takes over from the image: patient, study, and what made it."""

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from pydicom import DataElement, Dataset
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.dataset import FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian

from lentigo_contract.errors import PredictionDocumentError
from lentigo_contract.prediction import Prediction, read_prediction
from lentigo_gateway import __version__
from lentigo_gateway.answers import Answer
from lentigo_gateway.errors import NotDicomError, TryAgainError
from lentigo_gateway.rules import OUR_MANUFACTURER

# Type 2: there, and empty where the image has none (DICOM PS3.3, C.7.1.1 and C.7.2.1).
_PATIENT_AND_STUDY: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)
# Type 3: only where the image has them.
_OPTIONAL: Final = ("IssuerOfPatientID", "StudyDescription", "TimezoneOffsetFromUTC")
_IDENTITY: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")

# Values of these kinds that are anything else are left out; PS3.5, 6.2.
_VALUES: Final[Mapping[str, str]] = {
    "DA": r"\d{8}",
    "TM": r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?",
    "CS": r"[A-Z0-9 _]{1,16}",
    "UI": r"[0-9.]{1,64}",
}
_SEXES: Final = ("M", "F", "O")
_OFFSET: Final = re.compile(r"([+-])(\d{2})(\d{2})")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def prediction_of(answer: Answer) -> Prediction:
    """Return what an answer says, with the version that the gateway knows of it.

    Raises:
        TryAgainError: a member is missing, or has a value that it cannot have.
    """
    document = dict(answer.prediction)
    told = document.get("model")
    if isinstance(told, dict):
        document["model"] = {**told, **answer.model}
    try:
        return read_prediction(document)
    except PredictionDocumentError as error:
        raise TryAgainError(str(error), "service") from error


def result_dataset(
    image: Dataset,
    prediction: Prediction,
    *,
    sop_class_uid: str,
    instance_uid: str,
    series_uid: str,
    series_number: int,
    made_at: datetime,
) -> Dataset:
    """Return a new instance in the study of the image, without what is special to its kind.

    Its times are in the time zone of the study, if it has one, and else in UTC.

    Raises:
        NotDicomError: the image does not say which instance it is.
    """
    require_identity(image)
    result = Dataset()
    result.file_meta = _file_meta(sop_class_uid, instance_uid)
    if "SpecificCharacterSet" in image:
        result["SpecificCharacterSet"] = deepcopy(image["SpecificCharacterSet"])
    copy_attributes(image, result, _PATIENT_AND_STUDY, empty=True)
    copy_attributes(image, result, _OPTIONAL)
    if result.PatientSex not in _SEXES:
        result.PatientSex = ""
    result.StudyInstanceUID = image.StudyInstanceUID
    result.SeriesInstanceUID = series_uid
    result.SeriesNumber = series_number
    result.SOPClassUID = sop_class_uid
    result.SOPInstanceUID = instance_uid
    result.InstanceNumber = "1"
    model = prediction.model
    result.Manufacturer = OUR_MANUFACTURER
    result.ManufacturerModelName = model.name
    result.SoftwareVersions = [f"model {model.version}", f"gateway {__version__}"]
    if model.digest is not None:
        result.DeviceSerialNumber = model.digest
    zone = _zone(str(result.get("TimezoneOffsetFromUTC", "")))
    if zone is None:
        zone, result.TimezoneOffsetFromUTC = UTC, "+0000"
    local = made_at.astimezone(zone)
    date, time = local.strftime("%Y%m%d"), local.strftime("%H%M%S")
    for moment in ("Series", "Content", "InstanceCreation"):
        setattr(result, f"{moment}Date", date)
        setattr(result, f"{moment}Time", time)
    return result


def require_identity(image: Dataset) -> None:
    """Check that an image says which instance it is.

    Raises:
        NotDicomError: one of its UIDs is missing or is none.
    """
    for keyword in _IDENTITY:
        if re.fullmatch(_VALUES["UI"], text_of(image, keyword)) is None:
            raise NotDicomError(f"The instance has no {keyword}, so no result can refer to it.")


def copy_attributes(
    image: Dataset, result: Dataset, keywords: Iterable[str], *, empty: bool = False
) -> None:
    """Copy attributes of one value, without control characters in their text.

    A date, a time or a code that is none is left out, and so is what pydicom cannot read.

    Args:
        image: to copy from.
        result: to copy to.
        keywords: of the attributes.
        empty: whether what is left out shall be there without a value.
    """
    for keyword in keywords:
        value = _clean(image, keyword)
        if value or empty:
            # What is too long for its kind stays so: the archive knows the patient by it.
            tag, vr = Tag(keyword), dictionary_VR(keyword)
            result.add(DataElement(tag, vr, value, validation_mode=IGNORE))


def text_of(image: Dataset, keyword: str) -> str:
    """Return an attribute as text; empty if it is missing or cannot be read."""
    try:
        value = image.get(keyword)
    except Exception:  # noqa: BLE001 - hostile bytes fail in every way, and are as good as none
        return ""
    return "" if value is None else str(value)


def reference_to(image: Dataset, frame: int | None) -> Dataset:
    """Return the reference to an image, or to one frame of it (PS3.3, table 10-3)."""
    item = Dataset()
    item.ReferencedSOPClassUID = image.SOPClassUID
    item.ReferencedSOPInstanceUID = image.SOPInstanceUID
    if frame is not None:
        item.ReferencedFrameNumber = frame
    return item


def _clean(image: Dataset, keyword: str) -> Any:  # noqa: ANN401 - a value of DICOM
    text = text_of(image, keyword)
    cleaned = _CONTROL.sub("", text).strip()
    if not cleaned:
        return ""
    pattern = _VALUES.get(image[keyword].VR)
    if pattern is not None:
        return cleaned if re.fullmatch(pattern, cleaned) else ""
    # As it is, it keeps the bytes that the archive knows the patient by.
    return image[keyword].value if cleaned == text else cleaned


def _zone(offset: str) -> timezone | None:
    """Return the zone of an offset from UTC (PS3.3, C.12.1.1.8); None if it is none."""
    found = _OFFSET.fullmatch(offset)
    if found is None:
        return None
    ahead = timedelta(hours=int(found[2]), minutes=int(found[3]))
    if ahead > timedelta(hours=14):
        return None
    return timezone(ahead if found[1] == "+" else -ahead)


def _file_meta(sop_class_uid: str, instance_uid: str) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(instance_uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return meta
