"""Queries by QIDO-RS as a source, for archives that tell nobody what is new.

Each look asks for the instances of recent studies, class by class, and the work list says which of
them it has not seen. So an image that is added to an older study than `days` is not noticed.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from lentigo_gateway.archive.dicomweb import DicomWeb
from lentigo_gateway.archive.query_results import (
    HEADER_FIELDS,
    found_in_result,
    header_in,
    verification_in,
)
from lentigo_gateway.config import QueryConfig
from lentigo_gateway.errors import NotDicomError
from lentigo_gateway.observability.logging import Log
from lentigo_gateway.rules import (
    ACCEPTED_CLASSES,
    IMAGE_CLASSES,
    REPORT_CLASSES,
    VERIFIED,
    Rule,
    takes,
)
from lentigo_gateway.worklist.entries import Found
from lentigo_gateway.worklist.store import WorkList

NAME: Final = "query"

_PAGE: Final = 200
# An archive that ignores `offset` must not hold us for ever.
_MAX_PAGES: Final = 500


class Queries:
    """Puts on the work list what recent studies have and what a rule takes."""

    name = NAME

    def __init__(
        self,
        archive: DicomWeb,
        worklist: WorkList,
        rules: Sequence[Rule],
        config: QueryConfig,
        log: Log,
        today: Callable[[], date],
        *,
        reports: bool = False,
    ) -> None:
        """Ask this archive, in the time zone of `today`; with `reports`, also for reports."""
        self._reports = REPORT_CLASSES if reports else frozenset[str]()
        self._archive = archive
        self._worklist = worklist
        self._rules = rules
        self._log = log
        self._today = today
        self._days = config.days
        self.interval_s = config.interval_s

    def look(self) -> bool:
        """Ask once; return False, as there is nothing more until later.

        Raises:
            ServerUnavailableError, TryAgainError: the archive is away or fails.
            WorkListError: the work list cannot be written.
        """
        for sop_class in sorted(self._classes() | self._reports):
            self._look_for(sop_class)
        return False

    def _classes(self) -> frozenset[str]:
        """Return the classes that some rule may take."""
        named: set[str] = set()
        for rule in self._rules:
            if rule.take:
                if not rule.sop_class:
                    return ACCEPTED_CLASSES
                named |= {IMAGE_CLASSES[name] for name in rule.sop_class}
        return frozenset(named)

    def _look_for(self, sop_class: str) -> None:
        today = self._today()
        first = today - timedelta(days=self._days - 1)
        # A study may be dated by a clock that is ahead, or in another zone.
        last = today + timedelta(days=1)
        for page in range(_MAX_PAGES):
            results = self._archive.search(
                {
                    "SOPClassUID": sop_class,
                    "StudyDate": f"{first:%Y%m%d}-{last:%Y%m%d}",
                    "limit": _PAGE,
                    "offset": page * _PAGE,
                },
                HEADER_FIELDS,
            )
            found = [each for each in map(self._found, results) if each is not None]
            if sop_class in self._reports:
                self._worklist.add([], reports=found)
            else:
                self._worklist.add(found, again=False)
            if len(results) < _PAGE:
                return
        self._log.warning("query has no end", source=NAME, pages=_MAX_PAGES)

    def _found(self, result: Mapping[str, Any]) -> Found | None:
        header = header_in(result)
        verified = verification_in(result) == VERIFIED
        if not takes(self._rules, header) and not (header.sop_class in self._reports and verified):
            return None
        try:
            return found_in_result(result)
        except NotDicomError:
            self._log.warning("instance without a valid UID ignored", source=NAME)
            return None
