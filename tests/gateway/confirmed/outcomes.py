"""What a gateway made of an answer, and of its confirmation."""

from typing import Any

from pydicom import Dataset

from lentigo_contract.fhir.codes import DIAGNOSES_SYSTEM
from tests.gateway.bench import Bench
from tests.gateway.dicom import dermoscopic

Resource = dict[str, Any]

ANSWER = "019b1f6e-4a57-7c3e-8d5c-000000000001"
"""The id of the first answer of the service."""


def answered(bench: Bench, image: Dataset | None = None) -> Dataset:
    """Have an instance that was answered and delivered."""
    taken = dermoscopic(1) if image is None else image
    bench.archive.put(taken)
    bench.work()
    assert bench.entry.state == "done"
    return taken


def report(bench: Bench) -> Resource:
    (found,) = bench.fhir.of_type("DiagnosticReport")
    return found


def classification(bench: Bench) -> Resource:
    (found,) = [
        each
        for each in bench.fhir.of_type("Observation")
        if each["code"]["coding"][0]["code"] == "lesion-classification"
    ]
    return found


def concluded(found: Resource) -> list[str]:
    return [
        coding["code"]
        for concept in found["conclusionCode"]
        for coding in concept["coding"]
        if coding["system"] == DIAGNOSES_SYSTEM
    ]
