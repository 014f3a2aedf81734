"""Documents by clinicians: structured reports that they verified, and resources of FHIR."""

from typing import Any, Final

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from lentigo_contract.fhir.codes import DIAGNOSES_SYSTEM, TERMS_SYSTEM
from tests.gateway.dicom import PATIENT_ID, PATIENT_NAME, STUDY

Resource = dict[str, Any]

COMPREHENSIVE: Final = "1.2.840.10008.5.1.4.1.1.88.33"
CONCLUSION: Final = ("DCM", "121077")
MELANOMA: Final = ("SCT", "93655004")


def code_item(name: tuple[str, str], value: tuple[str, str]) -> Dataset:
    item = Dataset()
    item.RelationshipType = "CONTAINS"
    item.ValueType = "CODE"
    item.ConceptNameCodeSequence = [_coded(*name)]
    item.ConceptCodeSequence = [_coded(*value)]
    return item


def text_item(name: tuple[str, str], text: str) -> Dataset:
    item = Dataset()
    item.RelationshipType = "CONTAINS"
    item.ValueType = "TEXT"
    item.ConceptNameCodeSequence = [_coded(*name)]
    item.TextValue = text
    return item


def structured_report(
    *instances: str,
    items: list[Dataset] | None = None,
    verification: str = "VERIFIED",
    completion: str = "COMPLETE",
    number: int = 1,
) -> Dataset:
    """Give a structured report about some instances, with a melanoma by histopathology."""
    report = Dataset()
    report.file_meta = FileMetaDataset()
    report.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    report.SOPClassUID = COMPREHENSIVE
    report.SOPInstanceUID = f"{STUDY}.9.{number}"
    report.StudyInstanceUID = STUDY
    report.SeriesInstanceUID = f"{STUDY}.8"
    report.PatientName, report.PatientID = PATIENT_NAME, PATIENT_ID
    report.Modality = "SR"
    report.Manufacturer = "Pathology"
    report.VerificationFlag, report.CompletionFlag = verification, completion
    series = Dataset()
    series.SeriesInstanceUID = f"{STUDY}.2"
    series.ReferencedSOPSequence = [_reference(each) for each in instances]
    study = Dataset()
    study.StudyInstanceUID = STUDY
    study.ReferencedSeriesSequence = [series]
    report.CurrentRequestedProcedureEvidenceSequence = [study]
    report.ValueType = "CONTAINER"
    container = Dataset()
    container.ValueType = "CONTAINER"
    container.RelationshipType = "CONTAINS"
    container.ContentSequence = melanoma() if items is None else items
    report.ContentSequence = [container]
    return report


def melanoma(way: str = "histopathology") -> list[Dataset]:
    return [
        code_item(CONCLUSION, MELANOMA),
        text_item(("99LENTIGO", "confirmed-by"), way),
    ]


def observation(about: Resource, code: str = "mel", **changes: Any) -> Resource:
    """Give a final Observation that refers to one of ours."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": TERMS_SYSTEM, "code": "confirmed-diagnosis"}]},
        "valueCodeableConcept": {"coding": [{"system": DIAGNOSES_SYSTEM, "code": code}]},
        "method": {"text": "histopathology"},
        "derivedFrom": [{"reference": f"Observation/{about['id']}"}],
        **changes,
    }


def _coded(scheme: str, value: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, "A meaning"
    return item


def _reference(uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.7"
    item.ReferencedSOPInstanceUID = uid
    return item
