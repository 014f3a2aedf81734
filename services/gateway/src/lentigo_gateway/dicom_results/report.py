"""The structured report: Comprehensive 3D SR by TID 1500 (DICOM PS3.16, A)."""

import functools
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from highdicom.sr import (
    AlgorithmIdentification,
    CodeContentItem,
    CodedConcept,
    ContainerContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    ImageContentItem,
    Measurement,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForRegion,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom import Dataset

from lentigo_contract.fhir.codes import TERMS
from lentigo_contract.fhir.observations import rationale
from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_contract.prediction import ModelIdentity, Prediction
from lentigo_gateway.answers import Answer
from lentigo_gateway.dicom_results.concepts import (
    NO_UNITS,
    coding_scheme,
    diagnosis,
    dicom_concept,
    own,
    probability_of,
    term,
)
from lentigo_gateway.dicom_results.header import (
    prediction_of,
    reference_to,
    result_dataset,
    text_of,
)
from lentigo_gateway.dicom_results.regions import WholeFrame
from lentigo_gateway.errors import PixelsError
from lentigo_gateway.rules import OUR_MANUFACTURER
from lentigo_gateway.uids import UidMaker

COMPREHENSIVE_3D_SR: Final = "1.2.840.10008.5.1.4.1.1.88.34"

# Namespace of the UIDs of devices (RFC 9562, version 5; PS3.5, B.2). It never changes.
_DEVICES: Final = uuid.UUID("d7c8b4a2-3e51-4f06-8a9b-7e2d1c0f5b36")

# Behind the series of the cameras.
_SERIES_NUMBER: Final = 9001

_DEVICE: Final = dicom_concept("121007", "Device")
_COMMENT: Final = dicom_concept("121106", "Comment")
_RECOMMENDATION: Final = dicom_concept("121075", "Recommendation")
_DERMOSCOPY: Final = dicom_concept("DMS", "Dermoscopy")
_MODALITY: Final = dicom_concept("121139", "Modality")
_MODALITIES: Final = {
    "DMS": _DERMOSCOPY,
    "XC": dicom_concept("XC", "External-camera Photography"),
    "OT": dicom_concept("OT", "Other"),
}
_LIBRARY: Final = dicom_concept("111028", "Image Library")
_LIBRARY_GROUP: Final = dicom_concept("126200", "Image Library Group")
_SOURCE: Final = CodedConcept("260753009", "SCT", "Source")
_DIAGNOSIS: Final = own("diagnosis", "Diagnosis by the model")
_QUALITY: Final = own("image-quality", "Image quality")
_ACCEPTED: Final = own("accepted", "The image can be judged")
_CONFIDENCE: Final = own("confidence", "Confidence of the diagnosis")
_CONFIDENT: Final = own("confident", "The diagnosis is confident")
_MALIGNANCY: Final = own("probability-malignant", "Probability: malignant")
_THRESHOLD: Final = own("referral-threshold", "Probability of malignancy from which to refer")
# Parts of a report that are the same in many, and that nothing changes: highdicom takes 3 ms for
# them.
_MODELS: Final = 8
_EVALUATIONS: Final = 64

_UNITS: Final = CodedConcept(*NO_UNITS)


def structured_report(
    image: Dataset, answers: Sequence[Answer], *, made_at: datetime, uids: UidMaker
) -> Dataset:
    """Return the report on an instance: a group for each answer, one for each frame.

    It is preliminary and unverified. An answer without a diagnosis is a group too: it has the
    reasons, and the recommendation to refer. The same arguments give the same report.

    Args:
        image: the instance; only its header is read.
        answers: at least one.
        made_at: when it was made, with a time zone.
        uids: gives `structured-report`, `structured-report-series`, and `lesion` or
            `lesion/<frame>`.

    Raises:
        NotDicomError: the image does not say which instance it is.
        PixelsError: the image does not say how large it is.
        TryAgainError: an answer lacks a member, or has a value that it cannot have.
        ValueError: there is no answer.
    """
    if not answers:
        raise ValueError("a report needs an answer")
    told = [(answer, prediction_of(answer)) for answer in answers]
    model = told[0][1].model
    result = result_dataset(
        image,
        told[0][1],
        sop_class_uid=COMPREHENSIVE_3D_SR,
        instance_uid=uids("structured-report"),
        series_uid=uids("structured-report-series"),
        series_number=_SERIES_NUMBER,
        made_at=made_at,
    )
    result.Modality = "SR"
    result.SeriesDescription = f"{OUR_MANUFACTURER}: report, research use only"
    result.CompletionFlag = "COMPLETE"
    result.VerificationFlag = "UNVERIFIED"
    result.PreliminaryFlag = "PRELIMINARY"
    result.ReferencedPerformedProcedureStepSequence = []
    result.PerformedProcedureCodeSequence = []
    result.CodingSchemeIdentificationSequence = [coding_scheme()]
    result.CurrentRequestedProcedureEvidenceSequence = [_evidence(image)]
    for element in _content(image, told, model, uids):
        result.add(element)
    return result


def _content(
    image: Dataset,
    told: Sequence[tuple[Answer, Prediction]],
    model: ModelIdentity,
    uids: UidMaker,
) -> Dataset:
    """Return the root of the content tree."""
    report = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=_observer(model)),
        procedure_reported=_DERMOSCOPY,
        imaging_measurements=[_group(image, *each, uids) for each in told],
    )
    root: Dataset = report[0]
    # Before what is measured, so that it is read first.
    place = next(
        index
        for index, item in enumerate(root.ContentSequence)
        if item.RelationshipType == RelationshipTypeValues.CONTAINS.value
    )
    for item in (_text(RESEARCH_NOTICE), _image_library(image)):
        root.ContentSequence.insert(place, item)
        place += 1
    return root


def _image_library(image: Dataset) -> ContainerContentItem:
    """Return the list of images (TID 1600), without which OHIF opens no report."""
    found = ImageContentItem(
        name=_SOURCE,
        referenced_sop_class_uid=image.SOPClassUID,
        referenced_sop_instance_uid=image.SOPInstanceUID,
        relationship_type=RelationshipTypeValues.CONTAINS,
    )
    modality = _MODALITIES.get(text_of(image, "Modality"), _MODALITIES["OT"])
    context = RelationshipTypeValues.HAS_ACQ_CONTEXT
    found.ContentSequence = ContentSequence([CodeContentItem(_MODALITY, modality, context)])
    group = ContainerContentItem(_LIBRARY_GROUP, relationship_type=RelationshipTypeValues.CONTAINS)
    group.ContentSequence = ContentSequence([found])
    library = ContainerContentItem(_LIBRARY, relationship_type=RelationshipTypeValues.CONTAINS)
    library.ContentSequence = ContentSequence([group])
    return library


@functools.lru_cache(_MODELS)
def _observer(model: ModelIdentity) -> ObserverContext:
    """Return what made the report: the model, by the same UID in every report of this version."""
    uid = uuid.uuid5(_DEVICES, f"{model.name}/{model.version}/{model.digest}")
    return ObserverContext(
        observer_type=_DEVICE,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=f"2.25.{uid.int}",
            name=f"{OUR_MANUFACTURER}, model {model.name} {model.version}",
            manufacturer_name=OUR_MANUFACTURER,
            model_name=model.name,
            serial_number=model.digest,
        ),
    )


def _group(
    image: Dataset, answer: Answer, prediction: Prediction, uids: UidMaker
) -> PlanarROIMeasurementsAndQualitativeEvaluations:
    """Return what is said of one frame (TID 1410); its region is the whole frame."""
    frame = answer.frame
    lesion = "lesion" if frame is None else f"lesion/{frame}"
    source = SourceImageForRegion(
        referenced_sop_class_uid=image.SOPClassUID,
        referenced_sop_instance_uid=image.SOPInstanceUID,
        referenced_frame_numbers=None if frame is None else [frame],
    )
    group = PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=uids(lesion), identifier=lesion),
        referenced_region=WholeFrame(*_extent(image), source),
        algorithm_id=_algorithm(prediction.model),
        measurements=_measurements(prediction),
        qualitative_evaluations=_evaluations(prediction),
    )
    for text in _remarks(prediction):
        group[0].ContentSequence.append(_text(text))
    return group


def _extent(image: Dataset) -> tuple[int, int]:
    """Return columns and rows of an image."""
    columns, rows = text_of(image, "Columns"), text_of(image, "Rows")
    if not (columns.isdecimal() and rows.isdecimal() and int(columns) and int(rows)):
        raise PixelsError("The image has no extent.")
    return int(columns), int(rows)


@functools.lru_cache(_MODELS)
def _algorithm(model: ModelIdentity) -> AlgorithmIdentification:
    parameters = [
        f"{name}={value}"
        for name, value in (
            ("sha256", model.digest),
            ("architecture", model.architecture),
            ("engine", model.engine),
        )
        if value
    ]
    return AlgorithmIdentification(
        name=f"{OUR_MANUFACTURER}, model {model.name}",
        version=model.version,
        parameters=parameters or None,
    )


def _measurements(prediction: Prediction) -> list[Measurement]:
    """Return the seven probabilities in label order, that of malignancy, and the threshold."""
    malignancy = prediction.malignancy
    found = [
        Measurement(probability_of(code), value, _UNITS)
        for code, value in prediction.by_code.items()
    ]
    if malignancy.probability is not None:
        found.append(Measurement(_MALIGNANCY, malignancy.probability, _UNITS))
    found.append(Measurement(_THRESHOLD, malignancy.threshold, _UNITS))
    return found


def _evaluations(prediction: Prediction) -> list[QualitativeEvaluation]:
    malignancy, quality = prediction.malignancy, prediction.quality
    decided = prediction.diagnosis
    said = term("no-diagnosis") if decided is None else diagnosis(decided.code)
    found = [_evaluation(_DIAGNOSIS, said)]
    if decided is not None and decided.confident is not None:
        confidence = _CONFIDENT if decided.confident else term("unconfident")
        found.append(_evaluation(_CONFIDENCE, confidence))
    refer = term("refer" if malignancy.refer else "no-referral")
    found.append(_evaluation(_RECOMMENDATION, refer))
    issues = [term(reason) for reason in quality.reasons]
    if not issues:
        issues = [_ACCEPTED if quality.accepted else term("unusable")]
    found.extend(_evaluation(_QUALITY, issue) for issue in issues)
    return found


@functools.lru_cache(_EVALUATIONS)
def _evaluation(name: CodedConcept, value: CodedConcept) -> QualitativeEvaluation:
    return QualitativeEvaluation(name, value)


def _remarks(prediction: Prediction) -> list[str]:
    """Return what a reader needs besides: why to refer, and that this is research."""
    reasons = [
        TERMS.get(each, each) for each in prediction.malignancy.reasons if each != "malignancy"
    ]
    more = f" {'. '.join(reasons)}." if reasons else ""
    return [f"{rationale(prediction)}{more}", RESEARCH_NOTICE]


def _text(text: str) -> TextContentItem:
    return TextContentItem(_COMMENT, text, RelationshipTypeValues.CONTAINS)


def _evidence(image: Dataset) -> Dataset:
    """Return what the report is about, by study and series (PS3.3, C.17.2)."""
    series = Dataset()
    series.SeriesInstanceUID = image.SeriesInstanceUID
    series.ReferencedSOPSequence = [reference_to(image, None)]
    study = Dataset()
    study.StudyInstanceUID = image.StudyInstanceUID
    study.ReferencedSeriesSequence = [series]
    return study
