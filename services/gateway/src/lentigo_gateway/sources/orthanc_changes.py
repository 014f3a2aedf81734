"""Orthanc's feed of changes as a source.

How far it was read is kept in the same transaction as the instances it named, so nothing that came
while the gateway was down is missed, and nothing is taken twice.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lentigo_gateway.archive.orthanc import Orthanc
from lentigo_gateway.config import OrthancConfig
from lentigo_gateway.errors import BoundsError, NotDicomError, TryAgainError
from lentigo_gateway.observability.logging import Log
from lentigo_gateway.rules import (
    ACCEPTED_CLASSES,
    REPORT_CLASSES,
    VERIFIED,
    InstanceHeader,
    Rule,
    takes,
)
from lentigo_gateway.worklist.entries import ORTHANC, Found
from lentigo_gateway.worklist.store import WorkList

NAME: Final = "orthanc"

_LIMIT: Final = 100
# So often the attributes of one instance may fail; then the feed goes on without it.
_PATIENCE: Final = 5


class OrthancChanges:
    """Puts on the work list what is new in an Orthanc and what a rule takes."""

    name = NAME

    def __init__(
        self,
        orthanc: Orthanc,
        worklist: WorkList,
        rules: Sequence[Rule],
        config: OrthancConfig,
        log: Log,
        *,
        reports: bool = False,
    ) -> None:
        """Read this feed into this list; with `reports`, also verified structured reports."""
        self._reports = reports
        self._orthanc = orthanc
        self._worklist = worklist
        self._rules = rules
        self._log = log
        self._failures: Counter[str] = Counter()
        self._from_now = config.start == "now"
        self.interval_s = config.interval_s

    def look(self) -> bool:
        """Read the next part of the feed; return whether there is more of it at once.

        Raises:
            ServerUnavailableError, TryAgainError: the archive is away or fails.
            WorkListError: the work list cannot be written.
        """
        position = self._worklist.position(NAME)
        if position is None:
            position = self._orthanc.last_change() if self._from_now else 0
            self._worklist.add([], (NAME, position))
        changes = self._orthanc.changes(position, _LIMIT)
        if changes.last < position:
            # The archive was emptied or replaced, and counts from the beginning again.
            self._log.warning("feed began anew", source=NAME, position=position, last=changes.last)
            self._worklist.add([], (NAME, 0))
            return True
        images: list[Found] = []
        reports: list[Found] = []
        for orthanc_id in changes.instances:
            self._sort(orthanc_id, images, reports)
        if changes.last != position:
            self._worklist.add(images, (NAME, changes.last), reports=reports)
        return not changes.done

    def _sort(self, orthanc_id: str, images: list[Found], reports: list[Found]) -> None:
        """Put an instance where it belongs, if it belongs anywhere and is still there."""
        tags = self._tags(orthanc_id)
        if tags is None:
            return
        if takes(self._rules, _header(tags)):
            images.extend(self._found(orthanc_id, tags))
        elif self._reports and _is_verified_report(tags):
            reports.extend(self._found(orthanc_id, tags))

    def _found(self, orthanc_id: str, tags: Mapping[str, Any]) -> list[Found]:
        """Return the instance, or nothing if its UIDs are none."""
        try:
            found = Found(
                sop_instance_uid=_text(tags, "SOPInstanceUID"),
                series_instance_uid=_text(tags, "SeriesInstanceUID"),
                study_instance_uid=_text(tags, "StudyInstanceUID"),
                locator=ORTHANC + orthanc_id,
            )
        except NotDicomError:
            self._log.warning("instance without a valid UID ignored", source=NAME)
            return []
        return [found]

    def _tags(self, orthanc_id: str) -> Mapping[str, Any] | None:
        """Return the attributes of an instance; None if it is gone, or can never be read."""
        try:
            tags = self._orthanc.tags(orthanc_id)
        except BoundsError as error:
            if self._orthanc.sop_class(orthanc_id) in ACCEPTED_CLASSES:
                self._log.error("instance skipped", orthanc=orthanc_id, reason=str(error))
            tags = None
        except TryAgainError as error:
            self._failures[orthanc_id] += 1
            if self._failures[orthanc_id] < _PATIENCE:
                raise
            self._log.error("instance skipped", orthanc=orthanc_id, reason=str(error))
            tags = None
        self._failures.pop(orthanc_id, None)
        return tags


def _is_verified_report(tags: Mapping[str, Any]) -> bool:
    return (
        _text(tags, "SOPClassUID") in REPORT_CLASSES and _text(tags, "VerificationFlag") == VERIFIED
    )


def _header(tags: Mapping[str, Any]) -> InstanceHeader:
    return InstanceHeader(
        sop_class=_text(tags, "SOPClassUID"),
        modality=_text(tags, "Modality"),
        body_site=_text(tags, "BodyPartExamined"),
        station=_text(tags, "StationName"),
        descriptions=(_text(tags, "StudyDescription"), _text(tags, "SeriesDescription")),
        manufacturer=_text(tags, "Manufacturer"),
    )


def _text(tags: Mapping[str, Any], keyword: str) -> str:
    value = tags.get(keyword)
    return value.strip(" \0") if isinstance(value, str) else ""
