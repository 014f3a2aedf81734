"""Final Observations and DiagnosticReports of a FHIR server, as a source of confirmed diagnoses.

R4 has no feed, so each look asks for what was updated since the last one, in the order of time.
What is about nothing that was answered is not kept.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from lentigo_contract.fhir.codes import CodeMap
from lentigo_contract.fhir.elements import Resource, instant
from lentigo_gateway.config import ConfirmationsConfig
from lentigo_gateway.confirmed.codes import SEVERAL, confirmed_by, diagnosis_of
from lentigo_gateway.confirmed.final_report import is_made_final_by_us
from lentigo_gateway.confirmed.resources import (
    FINAL,
    Statement,
    Subject,
    is_made_by_us,
    statement_of,
    subjects_of,
)
from lentigo_gateway.delivery.fhir_server import FhirServer
from lentigo_gateway.errors import ConfirmationError, DeliveryRefusedError, TryAgainError
from lentigo_gateway.observability.logging import Log
from lentigo_gateway.worklist.confirmations import Confirmed
from lentigo_gateway.worklist.store import WorkList

_PAGE: Final = 500
# A server may commit a resource a little after the time that it stamps it with.
_OVERLAP_S: Final = 30.0
# What was confirmed while nobody looked, before the first look.
_BEFORE_S: Final = 3_600.0
_REMEMBERED: Final = 5_000


class ConfirmedResources:
    """Puts on the work list what a FHIR server confirms of what was answered."""

    name = "fhir"

    def __init__(
        self,
        server: FhirServer,
        worklist: WorkList,
        config: ConfirmationsConfig,
        codes: CodeMap,
        log: Log,
        clock: Callable[[], float],
    ) -> None:
        """Ask this server; `clock` is seconds since 1970."""
        self._server = server
        self._worklist = worklist
        self._config = config
        self._codes = codes
        self._log = log
        self._clock = clock
        self._seen: OrderedDict[str, None] = OrderedDict()
        self.interval_s = config.interval_s

    def look(self) -> bool:
        """Read what is new; return whether there is more of it at once.

        Raises:
            ServerUnavailableError, TryAgainError: the server is away or fails.
            WorkListError: the work list cannot be written.
        """
        queries = {
            "Observation": self._config.observations,
            "DiagnosticReport": self._config.reports,
        }
        more = [self._look_for(kind, query) for kind, query in queries.items()]
        return any(more)

    def _look_for(self, kind: str, query: str) -> bool:
        source = f"fhir:{kind}"
        position = self._worklist.position(source)
        if position is None:
            position = round((self._clock() - _BEFORE_S) * 1000)
            self._worklist.add([], (source, position))
        page = self._page(kind, query, position / 1000 - _OVERLAP_S)
        for resource in page:
            self._take(resource)
        latest = max([position, *(_updated_ms(each) for each in page)])
        if latest > position:
            self._worklist.add([], (source, latest))
        if len(page) >= _PAGE and latest == position:
            self._log.error("source reads no further", source=source, page=_PAGE)
        return len(page) >= _PAGE and latest > position

    def _page(self, kind: str, query: str, since_s: float) -> list[Resource]:
        since = quote(instant(datetime.fromtimestamp(since_s, UTC)))
        parts = [
            f"status={','.join(FINAL)}",
            f"_lastUpdated=ge{since}",
            f"_sort=_lastUpdated&_count={_PAGE}",
            quote(query, safe="=&:,/|"),
        ]
        asked = "&".join(filter(None, parts))
        try:
            return self._server.search(kind, asked)
        except DeliveryRefusedError as error:
            raise TryAgainError(str(error), "fhir") from error

    def _take(self, resource: Resource) -> None:
        meta = resource.get("meta") or {}
        document = f"{resource.get('resourceType')}/{resource.get('id')}"
        version = str(meta.get("versionId") or meta.get("lastUpdated"))
        known = f"{document}/{version}"
        if known in self._seen:
            return
        self._read(resource, document, version)
        self._seen[known] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    def _read(self, resource: Resource, document: str, version: str) -> None:
        if is_made_by_us(resource) or is_made_final_by_us(resource):
            return
        statement = statement_of(resource)
        subjects = self._answered(statement)
        if not subjects:
            return
        try:
            confirmed = self._confirmed(statement, subjects)
        except ConfirmationError as error:
            reason = str(error)
            if self._worklist.confirmations.add_read(document, version, None, reason):
                self._log.warning("confirmed diagnosis refused", document=document, reason=reason)
            return
        if self._worklist.confirmations.add_read(document, version, confirmed):
            self._worklist.wake()

    def _confirmed(self, statement: Statement, subjects: Sequence[tuple[str, int]]) -> Confirmed:
        if len(subjects) > 1:
            raise ConfirmationError(SEVERAL)
        return Confirmed(
            *subjects[0],
            diagnosis_of(statement.codes, self._codes),
            confirmed_by(statement.ways, self._config.confirmed_by),
        )

    def _answered(self, statement: Statement) -> list[tuple[str, int]]:
        """Return instance and frame of what was answered, by what says it most exactly."""
        found = self._of(statement.subjects)
        for references in (statement.references, statement.studies):
            if not found:
                read = [self._server.read(each) for each in references]
                found = self._of(
                    [subject for each in read if each is not None for subject in subjects_of(each)]
                )
        return found

    def _of(self, subjects: Sequence[Subject]) -> list[tuple[str, int]]:
        answered = self._worklist.confirmations.frames_of(
            sorted({each.sop_instance_uid for each in subjects})
        )
        exact = {(each.sop_instance_uid, each.frame) for each in subjects}
        return [(uid, frame) for uid, frame in answered if {(uid, frame), (uid, None)} & exact]


def _updated_ms(resource: Resource) -> int:
    text = str((resource.get("meta") or {}).get("lastUpdated", ""))
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        return 0
