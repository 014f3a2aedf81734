"""The gateway, put together from its configuration: sources, workers, and the operators' page."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from typing import Final, Protocol

from lentigo_contract.fhir.codes import code_map
from lentigo_gateway import __version__
from lentigo_gateway.archive.dicomweb import DicomWeb
from lentigo_gateway.archive.dimse import DimseStore
from lentigo_gateway.archive.orthanc import Orthanc
from lentigo_gateway.config import FhirConfig, GatewayConfig, ServerConfig
from lentigo_gateway.confirmed.fhir_feed import ConfirmedResources
from lentigo_gateway.confirmed.worker import ConfirmationWorker, Ends, Retries
from lentigo_gateway.delivery.fhir_server import FhirServer
from lentigo_gateway.errors import GatewayError, Server, WorkListError
from lentigo_gateway.http_server import HttpServer
from lentigo_gateway.inference.client import InferenceService
from lentigo_gateway.observability.logging import Log, fault
from lentigo_gateway.page.server import OperatorsPage
from lentigo_gateway.processing.holds import Holds
from lentigo_gateway.processing.processor import Places, Processor, ResultStore
from lentigo_gateway.processing.results import report_alone, report_and_capture
from lentigo_gateway.processing.worker import Probe, Worker
from lentigo_gateway.sources.listener import StoreListener
from lentigo_gateway.sources.orthanc_changes import OrthancChanges
from lentigo_gateway.sources.queries import Queries
from lentigo_gateway.sources.received import ReceivedImages
from lentigo_gateway.worklist.entries import RECEIVED
from lentigo_gateway.worklist.schedule import Backoff
from lentigo_gateway.worklist.store import WorkList

# How long a worker waits for new work before it looks again, for entries that become due.
_IDLE_S: Final = 0.25
_LONGEST_HOLD_S: Final = 60.0
_HOUSEKEEPING_S: Final = 3_600.0
_DAY_S: Final = 86_400.0


class Source(Protocol):
    """What is looked at again and again."""

    name: str
    interval_s: float

    def look(self) -> bool:
        """Put what is new on the work list; return whether there is more of it at once."""
        ...


class Gateway:
    """Everything that runs; `run` runs it until it is told to stop."""

    def __init__(
        self,
        config: GatewayConfig,
        places: Places,
        worklist: WorkList,
        sources: Sequence[Source],
        log: Log,
    ) -> None:
        """Work by this configuration; `connected` makes the parts."""
        self._config = config
        self._worklist = worklist
        self._places = places
        self._sources = sources
        self._log = log
        self._stop = threading.Event()
        settings = config.worklist
        self._backoff = Backoff(
            settings.first_delay_s, settings.longest_delay_s, random.SystemRandom().random
        )
        held = Backoff(1.0, _LONGEST_HOLD_S, random.SystemRandom().random)
        holds = Holds(held, time.monotonic, log)
        processor = Processor(
            places,
            worklist,
            config.rules,
            config.images,
            report_and_capture if config.results.secondary_capture else report_alone,
            holds,
            log,
        )
        self._worker = Worker(
            processor,
            worklist,
            self._backoff,
            settings.attempts,
            _probes(places),
            holds,
            log,
        )
        self._confirmations = None
        if config.confirmations is not None:
            self._confirmations = ConfirmationWorker(
                Ends(places.archive, places.orthanc, places.service, places.fhir),
                worklist,
                config.confirmations,
                code_map(config.fhir.codes if config.fhir else None),
                Retries(self._backoff, settings.attempts, _probes(places)),
                holds,
                log,
            )

    def stop(self) -> None:
        """Make `run` return once what is being worked on is finished; for signal handlers too."""
        self._stop.set()

    def run(self) -> None:
        """Run until `stop`.

        Raises:
            WorkListInUseError: another gateway uses the work list.
            ListenError: an address cannot be listened on.
            ConfigError: a file of the configuration cannot be used.
        """
        with ExitStack() as stack:
            stack.enter_context(self._worklist.locked())
            removed = self._places.received.sweep(lambda: self._worklist.locators(RECEIVED))
            self._log.info(
                "gateway starts",
                version=__version__,
                sources=[source.name for source in self._sources],
                listener=self._config.sources.listener is not None,
                orphans_removed=removed,
            )
            self._worker.recover()
            self._listen(stack)
            self._show_page(stack)
            threads = [
                *(self._thread(f"source {each.name}", self._watch, each) for each in self._sources),
                *(
                    self._thread(f"worker {number}", self._work, self._worker)
                    for number in range(self._config.worklist.workers)
                ),
                self._thread("housekeeping", self._keep_house),
            ]
            if self._confirmations is not None:
                threads.append(self._thread("confirmations", self._work, self._confirmations))
            for thread in threads:
                thread.start()
            self._stop.wait()
            self._log.info("gateway stops")
            self._worklist.wake()
            for thread in threads:
                thread.join()

    def _listen(self, stack: ExitStack) -> None:
        if self._config.sources.listener is not None:
            listener = StoreListener(
                self._config.sources.listener,
                self._config.images,
                self._config.rules,
                self._worklist,
                self._places.received,
                self._log,
            )
            listener.start()
            stack.callback(listener.stop)

    def _show_page(self, stack: ExitStack) -> None:
        if self._config.page is not None:
            page = OperatorsPage(self._config.page, self._worklist)
            self._log.info("page", url=page.start())
            stack.callback(page.stop)

    def _thread(
        self, name: str, target: Callable[..., None], *arguments: object
    ) -> threading.Thread:
        return threading.Thread(target=target, name=name, args=arguments, daemon=True)

    def _watch(self, source: Source) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                more = source.look()
            except Exception as error:  # noqa: BLE001 - a source that ended would lose instances
                failures += 1
                if failures == 1:
                    reason = str(error) if isinstance(error, GatewayError) else fault(error)
                    self._log.warning("source fails", source=source.name, reason=reason)
                self._stop.wait(self._backoff.delay_s(failures))
                continue
            if failures:
                self._log.info("source works again", source=source.name)
            failures = 0
            if not more:
                self._stop.wait(source.interval_s)

    def _work(self, worker: Worker | ConfirmationWorker) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                worked = worker.step()
            except Exception as error:  # noqa: BLE001 - a worker that ended would answer nothing
                failures += 1
                if failures == 1:
                    reason = str(error) if isinstance(error, GatewayError) else fault(error)
                    self._log.error("work list fails", reason=reason)
                self._stop.wait(self._backoff.delay_s(failures))
                continue
            if failures:
                self._log.info("work list works again")
            failures = 0
            if not worked and not self._stop.is_set():
                self._worklist.wait(_IDLE_S)

    def _keep_house(self) -> None:
        while not self._stop.is_set():
            try:
                removed = self._worklist.forget(self._config.worklist.keep_days * _DAY_S)
                self._places.received.sweep(
                    lambda: self._worklist.locators(RECEIVED), time.time() - _HOUSEKEEPING_S
                )
            except (OSError, WorkListError) as error:
                self._log.error("work list fails", reason=str(error))
            else:
                if removed:
                    self._log.info("old entries removed", entries=removed)
            self._stop.wait(_HOUSEKEEPING_S)


@contextmanager
def connected(config: GatewayConfig, log: Log) -> Iterator[Gateway]:
    """Make a gateway, and close its connections and its work list afterwards.

    Raises:
        ConfigError: a file that the configuration names cannot be used.
        WorkListError: the work list cannot be opened.
    """
    with ExitStack() as stack:
        worklist = WorkList(config.worklist.folder, time.time)
        stack.callback(worklist.close)
        places = stack.enter_context(connected_places(config))
        sources: list[Source] = []
        reports = config.confirmations is not None and config.confirmations.archive
        if config.sources.orthanc is not None and places.orthanc is not None:
            feed = config.sources.orthanc
            sources.append(
                OrthancChanges(places.orthanc, worklist, config.rules, feed, log, reports=reports)
            )
        if config.sources.query is not None:
            # The dates of studies are local.
            query = config.sources.query
            sources.append(
                Queries(places.archive, worklist, config.rules, query, log, _today, reports=reports)
            )
        if config.confirmations is not None and config.fhir is not None and places.fhir is not None:
            codes = code_map(config.fhir.codes)
            sources.append(
                ConfirmedResources(
                    places.fhir, worklist, config.confirmations, codes, log, time.time
                )
            )
        yield Gateway(config, places, worklist, sources, log)


@contextmanager
def connected_places(config: GatewayConfig) -> Iterator[Places]:
    """Connect to what the configuration names; nothing is asked yet.

    Raises:
        ConfigError: a file that the configuration names cannot be used.
        WorkListError: the folder of the work list cannot be made.
    """
    with ExitStack() as stack:

        def http(of: ServerConfig, server: Server) -> HttpServer:
            made = HttpServer(of, server)
            stack.callback(made.close)
            return made

        archive = DicomWeb(http(config.archive, "archive"))
        orthanc = None
        if config.sources.orthanc is not None:
            # One machine, one way to sign in.
            same = config.archive.model_copy(update={"url": config.sources.orthanc.url})
            orthanc = Orthanc(http(same, "archive"))
        # The same archive; but when it takes no results, it can still be read.
        results: ResultStore = DicomWeb(http(config.archive, "results"))
        if config.results.dimse is not None:
            store = DimseStore(config.results.dimse)
            stack.callback(store.close)
            results = store
        yield Places(
            archive=archive,
            orthanc=orthanc,
            received=ReceivedImages(config.worklist.folder),
            service=InferenceService(http(config.service, "service")),
            results=results,
            fhir=None if config.fhir is None else _fhir(config.fhir, http(config.fhir, "fhir")),
        )


def _fhir(config: FhirConfig, http: HttpServer) -> FhirServer:
    return FhirServer(http, code_map(config.codes), config.patient_system)


def _probes(places: Places) -> dict[Server, Probe]:
    probes: dict[Server, Probe] = {
        "service": places.service.healthy,
        "archive": places.archive.healthy,
        "results": places.results.healthy,
    }
    if places.fhir is not None:
        probes["fhir"] = places.fhir.healthy
    return probes


def check_places(places: Places) -> dict[Server, str]:
    """Ask each server whether it answers us; return what is wrong, by server."""
    wrong: dict[Server, str] = {}
    for server, probe in _probes(places).items():
        if server == "results":
            # The archive again, or a receiver that is known by what it says to a result.
            continue
        try:
            if not probe():
                wrong[server] = "It answers, but not that it is well."
        except GatewayError as error:
            wrong[server] = str(error)
    if "service" not in wrong:
        try:
            places.service.model_in_use()
        except GatewayError as error:
            wrong["service"] = str(error)
    return wrong


def _today() -> date:
    return date.today()  # noqa: DTZ011 - local, as the dates of studies are
