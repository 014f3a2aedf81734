"""A gateway without threads, network and real time: its real parts between stand-ins."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import structlog
from pydicom import Dataset

from lentigo_contract.fhir.codes import code_map
from lentigo_gateway.answers import Answer
from lentigo_gateway.archive.dicomweb import DicomWeb
from lentigo_gateway.archive.orthanc import Orthanc
from lentigo_gateway.config import (
    ConfirmationsConfig,
    ImagesConfig,
    OrthancConfig,
    ServerConfig,
)
from lentigo_gateway.confirmed.fhir_feed import ConfirmedResources
from lentigo_gateway.confirmed.worker import ConfirmationWorker, Ends, Retries
from lentigo_gateway.delivery.fhir_server import FhirServer
from lentigo_gateway.errors import Server
from lentigo_gateway.http_server import HttpServer
from lentigo_gateway.inference.client import InferenceService
from lentigo_gateway.processing.holds import Holds
from lentigo_gateway.processing.processor import Places, Processor
from lentigo_gateway.processing.results import ResultMaker, report_and_capture
from lentigo_gateway.processing.worker import Probe, Worker
from lentigo_gateway.rules import DEFAULT_RULES, Rule
from lentigo_gateway.sources.orthanc_changes import OrthancChanges
from lentigo_gateway.sources.received import ReceivedImages
from lentigo_gateway.uids import UidMaker
from lentigo_gateway.worklist.confirmations import Confirmation
from lentigo_gateway.worklist.entries import Entry, Found
from lentigo_gateway.worklist.schedule import Backoff
from lentigo_gateway.worklist.store import WorkList
from tests.gateway.fhir_server import FakeFhir
from tests.gateway.servers import FakeArchive, FakeService

LINK_DOWN = httpx.ConnectError("no route")
HANGS = httpx.ReadTimeout("nothing came")
ATTEMPTS = 10


class Bench:
    """The gateway's parts, and a clock that stands still unless it is moved."""

    def __init__(
        self,
        folder: Path,
        *,
        fhir: bool = False,
        rules: Sequence[Rule] = DEFAULT_RULES,
        limits: ImagesConfig | None = None,
        make_results: ResultMaker = report_and_capture,
        confirmations: ConfirmationsConfig | None = None,
        fhir_url: str | None = None,
    ) -> None:
        self.now = 1_000.0
        self.lines: list[dict[str, Any]] = []
        self.log = structlog.wrap_logger(None, processors=[self._keep])
        self.service, self.archive = FakeService(), FakeArchive()
        self.fhir = FakeFhir(clock=self.clock)
        self.worklist = WorkList(folder / "worklist", self.clock)
        self.received = ReceivedImages(self.worklist.folder)
        self.limits = limits or ImagesConfig()
        archive = DicomWeb(self.archive.http("archive", self.clock))
        orthanc = Orthanc(self.archive.http("archive", self.clock))
        results = DicomWeb(self.archive.http("results", self.clock))
        service = InferenceService(self.service.http("service", self.clock), clock=self.clock)
        server = self.fhir.http("fhir", self.clock)
        if fhir_url is not None:
            server = HttpServer(ServerConfig(url=fhir_url), "fhir")
        self.fhir_http = server
        receiver = FhirServer(server, code_map(None), "urn:oid:1.2.3")
        places = Places(
            archive=archive,
            orthanc=orthanc,
            received=self.received,
            service=service,
            results=results,
            fhir=receiver if fhir else None,
        )
        holds = Holds(Backoff(1, 60, lambda: 0.0), self.clock, self.log)
        processor = Processor(
            places, self.worklist, rules, self.limits, make_results, holds, self.log
        )
        probes: dict[Server, Probe] = {
            "service": service.healthy,
            "archive": archive.healthy,
            "results": results.healthy,
            "fhir": receiver.healthy,
        }
        backoff = Backoff(1, 600, lambda: 0.0)
        told = confirmations or ConfirmationsConfig()
        self.confirmations = ConfirmationWorker(
            Ends(archive, orthanc, service, receiver if fhir else None),
            self.worklist,
            told,
            code_map(None),
            Retries(backoff, ATTEMPTS, probes),
            holds,
            self.log,
            lambda: datetime.fromtimestamp(self.now, UTC),
        )
        self.confirmed = ConfirmedResources(
            receiver, self.worklist, told, code_map(None), self.log, self.clock
        )
        self.worker = Worker(
            processor,
            self.worklist,
            backoff,
            ATTEMPTS,
            probes,
            holds,
            self.log,
            self.clock,
        )
        feed = OrthancConfig(url="http://archive.test", start="beginning")
        self.source = OrthancChanges(orthanc, self.worklist, rules, feed, self.log, reports=True)

    def clock(self) -> float:
        return self.now

    def work(self) -> None:
        """Read the feed and work on all that is due now."""
        while self.source.look():
            pass
        self.finish_due()

    def finish_due(self) -> None:
        while self.worker.step():
            pass

    def confirm(self) -> None:
        """Look at the feed and the FHIR server, and work on what is confirmed and due now."""
        while self.source.look() or self.confirmed.look():
            pass
        while self.confirmations.step():
            pass

    def confirmation(self) -> Confirmation:
        """Give the one confirmation that there is."""
        (found,) = self.worklist.confirmations.latest(10)
        return found

    def pass_time(self, seconds: float) -> None:
        """Let time go by, and work on what becomes due meanwhile, in the order of time."""
        end, step = self.now + seconds, max(0.5, seconds / 500)
        while self.now < end:
            self.now = min(self.now + step, end)
            self.finish_due()

    def states(self) -> dict[str, int]:
        return self.worklist.counts()

    def entries(self) -> list[Entry]:
        return sorted(self.worklist.latest(10_000), key=lambda entry: entry.id)

    @property
    def entry(self) -> Entry:
        (entry,) = self.entries()
        return entry

    def report_uids(self) -> list[str]:
        return [str(each.SOPInstanceUID) for each in self.archive.stored]

    def events(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]

    def _keep(self, _logger: object, method: str, event: Any) -> Any:
        self.lines.append({**event, "level": method})
        raise structlog.DropEvent


def add(bench: Bench, image: Dataset, locator: str = "dicomweb") -> None:
    """Put an instance on the list that a source has noticed."""
    bench.worklist.add(
        [
            Found(
                str(image.SOPInstanceUID),
                str(image.SeriesInstanceUID),
                str(image.StudyInstanceUID),
                locator,
            )
        ]
    )


def failing_results(_image: Dataset, _answers: Sequence[Answer], _uids: UidMaker) -> list[Dataset]:
    """Fail as a library does on a name that it cannot write."""
    raise ValueError("Roe^Richarda is not a name")
