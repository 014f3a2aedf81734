"""The transaction Bundle of an answer."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lentigo_contract.fhir.accountability import Requester, answer_event, provenance
from lentigo_contract.fhir.codes import CodeMap
from lentigo_contract.fhir.elements import Resource, transaction
from lentigo_contract.fhir.observations import (
    classification,
    diagnostic_report,
    image_quality,
    risk_assessment,
)
from lentigo_contract.fhir.subjects import (
    DicomImage,
    about,
    device,
    document_reference,
    imaging_study,
)
from lentigo_contract.prediction import Prediction


def prediction_bundle(
    prediction: Prediction,
    *,
    answered: datetime,
    codes: CodeMap,
    subject: Mapping[str, Any] | None = None,
    dicom: DicomImage | None = None,
    requester: Requester | None = None,
) -> Resource:
    """Return what was said of one image, as a transaction that may be sent any number of times.

    Args:
        prediction: the answer; one without a diagnosis is a result too.
        answered: when it was given, with its time zone.
        codes: of other systems, beside our own.
        subject: the Reference to the patient, such as `subjects.patient` makes; None if nobody is
            named. Then there is a DocumentReference in place of the ImagingStudy.
        dicom: the instance of an archive that the image is from.
        requester: who asked; None if nobody but the service itself is known.
    """
    shared = about(prediction, answered, subject, dicom)
    if dicom is not None and subject is not None:
        image = imaging_study(dicom, subject)
    else:
        image = document_reference(prediction, shared, dicom)
    report = shared.reference("DiagnosticReport", "report")
    results = [
        report,
        shared.observation("lesion-classification"),
        shared.observation("image-quality"),
        shared.reference("RiskAssessment", "malignancy"),
    ]
    return transaction(
        [
            device(prediction.model),
            image,
            classification(prediction, shared, codes),
            image_quality(prediction, shared),
            risk_assessment(prediction, shared),
            diagnostic_report(prediction, shared, codes),
            provenance(shared, results),
            answer_event(shared, requester, report),
        ],
        answered,
    )
