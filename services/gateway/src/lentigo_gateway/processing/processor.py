"""One instance, from the archive's bytes to delivered results.

Each step is durable before the next begins, so whatever is interrupted goes on from there: what is
answered is not asked again, and what is delivered twice is the same object.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from pydicom import Dataset

from lentigo_gateway.answers import Answer
from lentigo_gateway.archive.dicomweb import DicomWeb
from lentigo_gateway.archive.orthanc import Orthanc
from lentigo_gateway.config import ImagesConfig
from lentigo_gateway.delivery.fhir_server import FhirServer
from lentigo_gateway.errors import (
    InstanceGoneError,
    NotTakenError,
    PixelsError,
    ServerUnavailableError,
)
from lentigo_gateway.inference.client import InferenceService
from lentigo_gateway.observability.logging import Log
from lentigo_gateway.pixels.frames import burned_in, frame_images
from lentigo_gateway.pixels.reading import found_in, header_of, read_dataset
from lentigo_gateway.processing.holds import Holds
from lentigo_gateway.processing.results import ResultMaker
from lentigo_gateway.rules import Rule, takes
from lentigo_gateway.sources.received import ReceivedImages
from lentigo_gateway.uids import uid_maker
from lentigo_gateway.worklist.entries import ORTHANC, RECEIVED, Entry, Found
from lentigo_gateway.worklist.store import WorkList


class ResultStore(Protocol):
    """Where result objects go: `DicomWeb` or `DimseStore`."""

    def store(self, datasets: Sequence[Dataset]) -> None:
        """Store results; one that is stored already is as good as stored."""
        ...

    def healthy(self) -> bool:
        """Return whether it answers at all, or raise."""
        ...


@dataclass(frozen=True, slots=True)
class Places:
    """Where instances come from, and where answers and results go.

    Attributes:
        archive: by DICOMweb.
        orthanc: by Orthanc's own REST API; None if there is none.
        received: images received by C-STORE.
        service: the inference service.
        results: takes the results.
        fhir: takes the answers too; None if there is none.
    """

    archive: DicomWeb
    orthanc: Orthanc | None
    received: ReceivedImages
    service: InferenceService
    results: ResultStore
    fhir: FhirServer | None


class Processor:
    """Answers instances, one at a time in each thread."""

    def __init__(
        self,
        places: Places,
        worklist: WorkList,
        rules: Sequence[Rule],
        limits: ImagesConfig,
        make_results: ResultMaker,
        holds: Holds,
        log: Log,
    ) -> None:
        """Work between these places, on this list."""
        self._places = places
        self._worklist = worklist
        self._rules = rules
        self._limits = limits
        self._make_results = make_results
        self._holds = holds
        self._log = log

    def process(self, entry: Entry) -> str:
        """Do all that is left to do for an entry; return what came of it, for the log.

        Raises:
            InstanceError, InstanceGoneError: it gets no answer.
            DeliveryRefusedError: a receiver refuses the results.
            TryAgainError, ServerUnavailableError: not now.
            WorkListError: the work list cannot be written.
        """
        if entry.state == "waiting" and self._is_answered(entry):
            self._worklist.drop(entry)
            self.forget(entry)
            return "answered before"
        image = self._image(entry)
        if entry.state == "waiting":
            answered, results = self._answer(entry, image)
            if answered is None:
                self.forget(entry)
                return "answered before"
            entry = answered
        else:
            results = self._results(image, entry.model_digest, entry.answers)
        self._deliver(entry, image, results)
        self._worklist.finish(entry, "done")
        self.forget(entry)
        return "done"

    def _is_answered(self, entry: Entry) -> bool:
        digest = self._places.service.model_in_use().digest
        self._holds.clear("service")
        return self._worklist.is_answered(entry, digest)

    def _image(self, entry: Entry) -> Dataset:
        """Return the instance of an entry, which a rule takes."""
        image = read_dataset(self._bytes(entry.instance), self._limits.max_bytes)
        if found_in(image, entry.instance.locator) != entry.instance:
            raise NotTakenError("The archive sent another instance than was asked for.")
        if not takes(self._rules, header_of(image)):
            raise NotTakenError("No rule takes the instance.")
        return image

    def _bytes(self, instance: Found) -> bytes:
        limit, places = self._limits.max_bytes, self._places
        if instance.locator.startswith(RECEIVED):
            with suppress(InstanceGoneError):
                return places.received.read(instance.locator, limit)
        if instance.locator.startswith(ORTHANC) and places.orthanc is not None:
            data = places.orthanc.file(instance.locator.removeprefix(ORTHANC), limit)
        else:
            data = places.archive.retrieve(instance, limit)
        self._holds.clear("archive")
        return data

    def _answer(self, entry: Entry, image: Dataset) -> tuple[Entry | None, list[Dataset]]:
        """Ask for the answers to an instance and keep them.

        Returns:
            The entry with its answers, or None if there were some already; and the results.
        """
        if burned_in(image):
            self._log.warning("text burned into the pixels", entry=entry.id)
        answers = [
            self._places.service.predict(frame) for frame in frame_images(image, self._limits)
        ]
        self._holds.clear("service")
        digests = {str(answer.model["digest"]) for answer in answers}
        if len(digests) > 1:
            raise ServerUnavailableError(
                "The inference service changed its model between two frames.", "service", 0
            )
        digest = digests.pop()
        results = self._results(image, digest, answers)
        uids = [str(result.SOPInstanceUID) for result in results]
        return self._worklist.answer(entry, digest, answers, uids), results

    def _results(self, image: Dataset, digest: str, answers: Sequence[Answer]) -> list[Dataset]:
        uids = uid_maker(str(image.SOPInstanceUID), digest)
        try:
            return self._make_results(image, answers, uids)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            # From an image whose attributes contradict each other. The message may quote them.
            raise PixelsError(
                f"No result can be made of this instance ({type(error).__name__})."
            ) from error

    def _deliver(self, entry: Entry, image: Dataset, results: Sequence[Dataset]) -> None:
        if not entry.archived:
            if self._holds.held("results"):
                raise ServerUnavailableError("The archive is left alone for now.", "results")
            self._places.results.store(results)
            self._holds.clear("results")
            if self._places.fhir is not None:
                self._worklist.note_archived(entry)
        if self._places.fhir is not None:
            if self._holds.held("fhir"):
                raise ServerUnavailableError("The FHIR server is left alone for now.", "fhir")
            self._places.fhir.deliver(image, entry.answers)
            self._holds.clear("fhir")

    def forget(self, entry: Entry) -> None:
        """Remove the image of an entry from our disk, if it was received."""
        if entry.instance.locator.startswith(RECEIVED):
            self._places.received.remove(entry.instance.locator)
