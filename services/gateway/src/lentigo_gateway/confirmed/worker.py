"""A confirmed diagnosis, from its document to feedback and a final report."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from lentigo_contract.fhir.codes import CodeMap
from lentigo_contract.fhir.elements import ANSWER_SYSTEM
from lentigo_gateway.archive.dicomweb import DicomWeb
from lentigo_gateway.archive.orthanc import Orthanc
from lentigo_gateway.config import ConfirmationsConfig
from lentigo_gateway.confirmed.codes import SEVERAL, confirmed_by, diagnosis_of
from lentigo_gateway.confirmed.final_report import confirms, final_bundle
from lentigo_gateway.confirmed.structured_reports import report_statement
from lentigo_gateway.delivery.fhir_server import FhirServer
from lentigo_gateway.errors import (
    ConfirmationError,
    DeliveryRefusedError,
    FeedbackRefusedError,
    GatewayError,
    InstanceError,
    InstanceGoneError,
    NothingConfirmedError,
    Server,
    ServerUnavailableError,
    TryAgainError,
    WorkListError,
)
from lentigo_gateway.inference.client import InferenceService
from lentigo_gateway.observability.logging import Log, fault
from lentigo_gateway.pixels.reading import read_dataset
from lentigo_gateway.processing.holds import Holds
from lentigo_gateway.processing.worker import Probe
from lentigo_gateway.worklist.confirmations import (
    Confirmation,
    ConfirmationState,
    Confirmed,
    Given,
)
from lentigo_gateway.worklist.entries import ORTHANC
from lentigo_gateway.worklist.schedule import Backoff
from lentigo_gateway.worklist.store import WorkList

# A structured report has no pixels.
_MOST_BYTES: Final = 8 * 2**20

_ENDS: Final[Mapping[type[GatewayError], ConfirmationState]] = {
    NothingConfirmedError: "ignored",
    InstanceGoneError: "ignored",
    ConfirmationError: "refused",
    InstanceError: "refused",
    DeliveryRefusedError: "parked",
}


_NOT_TAKEN: Final = (
    "The inference service takes no feedback on an answer: it keeps no audit trail, or the answer "
    "has left it."
)


@dataclass(frozen=True, slots=True)
class Ends:
    """What a confirmation goes between.

    Attributes:
        archive: has structured reports, by DICOMweb.
        orthanc: the same by Orthanc's own REST API; None if there is none.
        service: gets the feedback.
        fhir: has our reports; None if there is none.
    """

    archive: DicomWeb
    orthanc: Orthanc | None
    service: InferenceService
    fhir: FhirServer | None


@dataclass(frozen=True, slots=True)
class Retries:
    """When a confirmation is tried again.

    Attributes:
        backoff: between attempts.
        attempts: failures after which one is parked.
        probes: whether a server is well.
    """

    backoff: Backoff
    attempts: int
    probes: Mapping[Server, Probe]


class ConfirmationWorker:
    """Works on confirmations, one after the other."""

    def __init__(
        self,
        ends: Ends,
        worklist: WorkList,
        config: ConfirmationsConfig,
        codes: CodeMap,
        retries: Retries,
        holds: Holds,
        log: Log,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Work between these servers, on this list; the rest is as in `processing.worker`.

        Args:
            ends: the servers.
            worklist: what there is to do.
            config: what stands in the configuration about it.
            codes: the map that the hospital signed off.
            retries: when to try again.
            holds: servers to be left alone.
            log: where each outcome goes.
            now: the time, UTC, for reports.
        """
        self._ends = ends
        self._worklist = worklist
        self._list = worklist.confirmations
        self._config = config
        self._codes = codes
        self._retries = retries
        self._holds = holds
        self._log = log
        self._now = now

    def step(self) -> bool:
        """Work on one; return whether there was one.

        Raises:
            WorkListError: the work list cannot be read or written.
        """
        found = self._list.claim()
        if found is None:
            return False
        try:
            self._process(found)
        except WorkListError:
            raise
        except ServerUnavailableError as error:
            self._wait_for(found, error.server, str(error), error.retry_after_s)
        except TryAgainError as error:
            self._try_again(found, error)
        except GatewayError as error:
            self._end(found, error)
        except Exception as error:  # noqa: BLE001 - hostile documents fail in every way there is
            self._failed(found, fault(error))
        return True

    def _process(self, found: Confirmation) -> None:
        if found.confirmed is None:
            found = self._list.note_read(found.id, self._read(found))
        confirmed = found.confirmed
        assert confirmed is not None  # noqa: S101 - it was read
        answers = self._list.answers_of(confirmed.sop_instance_uid, confirmed.frame)
        if found.state == "read":
            self._tell(answers, confirmed)
            found = self._list.note_told(found.id)
        if self._ends.fhir is not None:
            for answer in answers:
                self._finalise(self._ends.fhir, found, answer, confirmed)
        answers = self._list.answers_of(confirmed.sop_instance_uid, confirmed.frame)
        if any(not _is_told(each, confirmed) for each in answers):
            self._finish(found, "refused", _NOT_TAKEN)
            return
        self._list.finish(found.id, "done")
        self._log.info("confirmed diagnosis", confirmation=found.id, outcome="done")

    def _read(self, found: Confirmation) -> Confirmed:
        """Return what a structured report confirms."""
        self._require("archive")
        if found.locator.startswith(ORTHANC) and self._ends.orthanc is not None:
            data = self._ends.orthanc.file(found.locator.removeprefix(ORTHANC), _MOST_BYTES)
        else:
            data = self._ends.archive.retrieve(found.instance, _MOST_BYTES)
        self._holds.clear("archive")
        statement = report_statement(read_dataset(data, _MOST_BYTES))
        subjects = self._list.frames_of(statement.instances)
        if not subjects:
            raise NothingConfirmedError("It is about no image that was answered.")
        if len(subjects) > 1:
            raise ConfirmationError(SEVERAL)
        return Confirmed(
            *subjects[0],
            diagnosis_of(statement.codes, self._codes),
            confirmed_by(statement.ways, self._config.confirmed_by),
        )

    def _tell(self, answers: list[Given], confirmed: Confirmed) -> None:
        """Give feedback on each answer, and note which of them the service takes."""
        self._require("service")
        self._require("feedback")
        for answer in answers:
            if _is_told(answer, confirmed):
                continue
            with suppress(FeedbackRefusedError):
                self._ends.service.give_feedback(
                    answer.answer_id, confirmed.diagnosis, confirmed.confirmed_by
                )
                self._list.note_confirmed(answer, confirmed.diagnosis, confirmed.confirmed_by)
            self._holds.clear("feedback")

    def _finalise(
        self, fhir: FhirServer, found: Confirmation, answer: Given, confirmed: Confirmed
    ) -> None:
        """Make our report on an answer final, or amend it."""
        self._require("fhir")
        reports = fhir.search("DiagnosticReport", f"identifier={ANSWER_SYSTEM}|{answer.key}/report")
        self._holds.clear("fhir")
        if not reports:
            raise TryAgainError("The FHIR server has no report on the answer yet.", "fhir")
        report = reports[0]
        if confirms(report, confirmed.diagnosis):
            return
        is_observation = found.document.startswith("Observation/")
        fhir.send(
            final_bundle(
                report,
                answer.key,
                confirmed,
                document=found.document,
                observation=found.document if is_observation else None,
                codes=self._codes,
                now=self._now(),
            ),
            by_version=True,
        )

    def _require(self, server: Server) -> None:
        if self._holds.held(server):
            raise ServerUnavailableError("A server is left alone for now.", server)

    def _wait_for(
        self, found: Confirmation, server: Server, reason: str, requested_s: float | None
    ) -> None:
        delay = self._holds.hold(server, reason, requested_s)
        self._list.postpone(found.id, delay, reason, found.failures)

    def _try_again(self, found: Confirmation, error: TryAgainError) -> None:
        try:
            well = self._retries.probes[error.server]()
        except GatewayError:
            well = False
        if well:
            self._failed(found, str(error))
        else:
            self._wait_for(found, error.server, str(error), None)

    def _failed(self, found: Confirmation, reason: str) -> None:
        failures = found.failures + 1
        if failures >= self._retries.attempts:
            self._finish(found, "parked", f"{reason} Given up after {failures} attempts.")
        else:
            self._list.postpone(found.id, self._retries.backoff.delay_s(failures), reason, failures)

    def _end(self, found: Confirmation, error: GatewayError) -> None:
        state: ConfirmationState = next(
            (end for kind, end in _ENDS.items() if isinstance(error, kind)), "parked"
        )
        self._finish(found, state, str(error))

    def _finish(self, found: Confirmation, state: ConfirmationState, reason: str) -> None:
        self._list.finish(found.id, state, reason)
        if state != "ignored":
            self._log.warning(
                "confirmed diagnosis", confirmation=found.id, outcome=state, reason=reason
            )


def _is_told(answer: Given, confirmed: Confirmed) -> bool:
    """Return whether the service was told this of an answer."""
    return (answer.diagnosis, answer.confirmed_by) == (confirmed.diagnosis, confirmed.confirmed_by)
