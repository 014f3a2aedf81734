"""The answers to an instance as FHIR: a transaction for each."""

import re
from collections.abc import Sequence
from typing import Final

from pydicom import Dataset

from lentigo_contract.fhir.bundle import prediction_bundle
from lentigo_contract.fhir.codes import CodeMap
from lentigo_contract.fhir.elements import Resource
from lentigo_contract.fhir.subjects import DicomImage, patient
from lentigo_gateway.answers import Answer
from lentigo_gateway.dicom_results.header import prediction_of, require_identity, text_of

_LONGEST: Final = 64


def answer_bundles(
    image: Dataset, answers: Sequence[Answer], *, patient_system: str | None, codes: CodeMap
) -> list[Resource]:
    """Return the transaction Bundle of each answer, to be sent any number of times.

    Args:
        image: the instance; only its header is read.
        answers: to its frames.
        patient_system: namespace of the archive's patient numbers. Without it, or without a number,
            no patient is named, and a DocumentReference takes the place of the ImagingStudy.
        codes: of other systems, beside our own.

    Raises:
        NotDicomError: the image does not say which instance it is.
        TryAgainError: an answer lacks a member, or has a value that it cannot have.
    """
    require_identity(image)
    number = "".join(each for each in text_of(image, "PatientID") if each.isprintable()).strip()
    named = patient_system is not None and 0 < len(number) <= _LONGEST
    subject = patient(str(patient_system), number) if named else None
    return [
        prediction_bundle(
            prediction_of(answer),
            answered=answer.received_at,
            codes=codes,
            subject=subject,
            dicom=DicomImage(
                study_uid=str(image.StudyInstanceUID),
                series_uid=str(image.SeriesInstanceUID),
                instance_uid=str(image.SOPInstanceUID),
                sop_class_uid=str(image.SOPClassUID),
                modality=_modality(image),
                frame=answer.frame,
            ),
        )
        for answer in answers
    ]


def _modality(image: Dataset) -> str:
    found = text_of(image, "Modality")
    return found if re.fullmatch(r"[A-Z0-9_]{1,16}", found) else "OT"
