"""What an answer is about: the image, the patient, and the device that gave it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from lentigo_contract.fhir.elements import (
    ANSWER_SYSTEM,
    DICOM_UID_SYSTEM,
    IMAGE_SYSTEM,
    MODEL_SYSTEM,
    Element,
    Resource,
    concept,
    identifier,
    instant,
    meta,
    reference,
)
from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_contract.prediction import ModelIdentity, Prediction

# PS3.6 of DICOM, table A-1.
SOP_CLASS_NAMES: Final = {
    "1.2.840.10008.5.1.4.1.1.77.1.7": "Dermoscopic Photography Image Storage",
    "1.2.840.10008.5.1.4.1.1.77.1.4": "VL Photographic Image Storage",
    "1.2.840.10008.5.1.4.1.1.7": "Secondary Capture Image Storage",
}

_DICOM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_URI: Final = "urn:ietf:rfc:3986"
_MEDIA_TYPES: Final = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
}


@dataclass(frozen=True, slots=True)
class DicomImage:
    """The DICOM instance that an image is from.

    Attributes:
        study_uid: Study Instance UID.
        series_uid: Series Instance UID.
        instance_uid: SOP Instance UID.
        sop_class_uid: SOP Class UID.
        modality: such as `DMS`.
        frame: number of the frame, from 1; None if the instance has one only.
    """

    study_uid: str
    series_uid: str
    instance_uid: str
    sop_class_uid: str
    modality: str
    frame: int | None = None


@dataclass(frozen=True, slots=True)
class About:
    """What the resources of one answer have in common.

    Attributes:
        key: what the answer is known by, the same however often it is given.
        moment: when it was given, as FHIR has it.
        image: reference to the ImagingStudy or DocumentReference.
        device: reference to the Device.
        subject: reference to the patient; None if nobody is named.
    """

    key: str
    moment: str
    image: Element
    device: Element
    subject: Element | None

    def identifiers(self, name: str) -> list[Element]:
        """Return the identifiers of a resource of the answer."""
        return [identifier(ANSWER_SYSTEM, f"{self.key}/{name}")]

    def observation(self, name: str) -> Element:
        """Return the reference to an Observation of the answer."""
        return self.reference("Observation", name)

    def reference(self, kind: str, name: str) -> Element:
        """Return the reference to a resource of the answer."""
        return reference(kind, ANSWER_SYSTEM, f"{self.key}/{name}")

    def subject_member(self) -> Element:
        """Return the member `subject` of a resource that can be without."""
        return {} if self.subject is None else {"subject": self.subject}


def about(
    prediction: Prediction,
    answered: datetime,
    subject: Mapping[str, Any] | None = None,
    dicom: DicomImage | None = None,
) -> About:
    """Return what the resources of an answer have in common.

    An answer to an instance of an archive is known by the instance, its frame and the version, so
    an instance that is asked about twice has one result. Any other is known by its own id.
    """
    model = prediction.model
    if dicom is None:
        key, image = prediction.id, _document(prediction.image.sha256, None)
    else:
        frame = "" if dicom.frame is None else f"/{dicom.frame}"
        key = f"{dicom.instance_uid}{frame}/{model.digest or model.version}"
        image = (
            _document(prediction.image.sha256, dicom)
            if subject is None
            else reference("ImagingStudy", *_study(dicom))
        )
    patient = None if subject is None else dict(subject)
    return About(key, instant(answered), image, reference("Device", *_model(model)), patient)


def patient(system: str, number: str) -> Element:
    """Return the reference to a patient by the number that an archive has."""
    return {"type": "Patient", "identifier": identifier(system, number)}


def device(model: ModelIdentity) -> Resource:
    """Return the Device: the program, with the version and the digest of the model."""
    versions = [{"type": {"text": "model"}, "value": model.version}]
    if model.digest is not None:
        versions.append(
            {"type": {"text": "SHA-256 of the model's manifest"}, "value": model.digest}
        )
    return {
        "resourceType": "Device",
        "meta": meta("device"),
        "identifier": [identifier(*_model(model))],
        "status": "active",
        "manufacturer": "Lentigo",
        "deviceName": [{"name": f"Lentigo, model {model.name}", "type": "user-friendly-name"}],
        "version": versions,
        "safety": [{"text": RESEARCH_NOTICE}],
        "note": [{"text": RESEARCH_NOTICE}],
    }


def imaging_study(image: DicomImage, subject: Mapping[str, Any]) -> Resource:
    """Return the ImagingStudy that has the image."""
    name = SOP_CLASS_NAMES.get(image.sop_class_uid)
    sop_class = {
        "system": _URI,
        "code": f"urn:oid:{image.sop_class_uid}",
        **({"display": name} if name else {}),
    }
    modality = {"system": _DICOM, "code": image.modality}
    series = {
        "uid": image.series_uid,
        "modality": modality,
        "instance": [{"uid": image.instance_uid, "sopClass": sop_class}],
    }
    return {
        "resourceType": "ImagingStudy",
        "identifier": [identifier(*_study(image))],
        "status": "available",
        "subject": dict(subject),
        "series": [series],
    }


def document_reference(
    prediction: Prediction, about: About, dicom: DicomImage | None = None
) -> Resource:
    """Return the DocumentReference that stands for the image by its digest; it has no pixels."""
    image = prediction.image
    media_type = _MEDIA_TYPES.get(image.format)
    size = f", {image.width} x {image.height} pixels" if image.width and image.height else ""
    attachment = {
        **({"contentType": media_type} if media_type else {}),
        "title": f"Dermatoscopic image{size}",
    }
    system, value = _document_identity(image.sha256, dicom)
    known_by = [identifier(system, value)]
    if dicom is not None:
        known_by.append(identifier(IMAGE_SYSTEM, image.sha256))
    return {
        "resourceType": "DocumentReference",
        "identifier": known_by,
        "status": "current",
        "category": [concept(_DICOM, "DMS", "Dermoscopy")],
        **about.subject_member(),
        "date": about.moment,
        "content": [{"attachment": attachment}],
    }


def _document(sha256: str, dicom: DicomImage | None) -> Element:
    return reference("DocumentReference", *_document_identity(sha256, dicom))


def _document_identity(sha256: str, dicom: DicomImage | None) -> tuple[str, str]:
    if dicom is None:
        return IMAGE_SYSTEM, sha256
    return DICOM_UID_SYSTEM, f"urn:oid:{dicom.instance_uid}"


def _study(image: DicomImage) -> tuple[str, str]:
    return DICOM_UID_SYSTEM, f"urn:oid:{image.study_uid}"


def _model(model: ModelIdentity) -> tuple[str, str]:
    """Return what a version is known by; the number alone may be given twice."""
    digest = f"/{model.digest}" if model.digest else ""
    return MODEL_SYSTEM, f"{model.name}/{model.version}{digest}"
