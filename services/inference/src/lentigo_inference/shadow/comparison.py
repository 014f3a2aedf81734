"""Where a shadow version and the version in use differ, from the records of an audit trail.

One pass over the records; what is kept of each is a few counts, and the id of an answer on which
the two differ. Whether the records are sound is what `audit verify` checks.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lentigo_contract.labels import CODES
from lentigo_inference.audit.export import records_in
from lentigo_inference.audit.records import SHADOW
from lentigo_inference.errors import AuditFileError
from lentigo_inference.monitoring.intervals import share

WITHHELD: Final = "none"
"""Stands for the diagnosis of an answer that has none."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """In how many of so many images the two versions say the same."""

    images: int
    same: int

    @property
    def share(self) -> float:
        """The share of images with the same, 0..1; there must be images."""
        return self.same / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the share, 0..1; there must be images."""
        estimate = share(self.same, self.images, fewest=1)
        if estimate.low is None or estimate.high is None:
            raise ValueError("There is no interval without images.")
        return estimate.low, estimate.high


@dataclass(frozen=True, slots=True)
class Difference:
    """An answer on which the two versions differ.

    Attributes:
        answer: its id.
        time: of the record, UTC.
        diagnoses: codes of the version in use and of the shadow version, or `none`.
        refers: whether each of the two refers.
    """

    answer: str
    time: str
    diagnoses: tuple[str, str]
    refers: tuple[bool, bool]


@dataclass(slots=True)
class Comparison:
    """What one shadow version said beside one version in use.

    Attributes:
        served: number of the version in use.
        shadow: number of the shadow version.
        manifest_sha256: of the shadow version.
        first, last: times of the first and of the last record, UTC.
        images: by the diagnosis of the version in use.
        same_diagnosis, same_refer: of these, those with the same.
        changes: images by both diagnoses, where they differ.
        referrals: images by whether the version in use refers, and whether the shadow version does.
        differences: every answer on which the two differ, in the order of the records.
    """

    served: int
    shadow: int
    manifest_sha256: str
    first: str = ""
    last: str = ""
    images: Counter[str] = field(default_factory=Counter)
    same_diagnosis: Counter[str] = field(default_factory=Counter)
    same_refer: Counter[str] = field(default_factory=Counter)
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    referrals: Counter[tuple[bool, bool]] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Number of images."""
        return self.images.total()

    @property
    def classes(self) -> tuple[str, ...]:
        """The diagnoses of the version in use for which there are images."""
        return tuple(code for code in (*CODES, WITHHELD) if self.images[code])

    def on_diagnosis(self, code: str | None = None) -> Agreement:
        """Return how far the diagnoses agree, of all images or of those with one diagnosis."""
        return self._agreement(self.same_diagnosis, code)

    def on_referral(self, code: str | None = None) -> Agreement:
        """Return how far `refer` agrees, of all images or of those with one diagnosis."""
        return self._agreement(self.same_refer, code)

    def _agreement(self, same: Counter[str], code: str | None) -> Agreement:
        if code is None:
            return Agreement(self.total, same.total())
        return Agreement(self.images[code], same[code])

    def add(self, record: dict[str, Any]) -> None:
        """Count one record; raises KeyError and TypeError if it is not as the service writes it."""
        served, time = record["served"], str(record["time"])
        diagnoses = (served["diagnosis"] or WITHHELD, record["diagnosis"] or WITHHELD)
        refers = (bool(served["refer"]), bool(record["refer"]))
        self.first = min(self.first or time, time)
        self.last = max(self.last, time)
        self.images[diagnoses[0]] += 1
        self.same_diagnosis[diagnoses[0]] += diagnoses[0] == diagnoses[1]
        self.same_refer[diagnoses[0]] += refers[0] == refers[1]
        self.referrals[refers] += 1
        if diagnoses[0] != diagnoses[1]:
            self.changes[diagnoses] += 1
        if diagnoses[0] != diagnoses[1] or refers[0] != refers[1]:
            self.differences.append(Difference(str(record["answer"]), time, diagnoses, refers))


def compare(folder: Path, shadow: int | None = None) -> list[Comparison]:
    """Compare every pair of versions of which one answered and the other was its shadow.

    Args:
        folder: of an audit trail.
        shadow: number of the only shadow version to look at.

    Returns:
        The comparisons, the latest last.

    Raises:
        AuditFileError: the folder or a file cannot be read, or a record is not as it was written.
    """
    found: dict[tuple[int, int, str], Comparison] = {}
    for record in records_in(folder):
        if record["kind"] != SHADOW or (shadow is not None and record.get("version") != shadow):
            continue
        try:
            pair = (record["served"]["version"], record["version"], record["manifest_sha256"])
            found.setdefault(pair, Comparison(*pair)).add(record)
        except (KeyError, TypeError) as error:
            raise AuditFileError(
                f"Record {record['seq']} is not as the service writes it. `audit verify` says what "
                "was done to the trail."
            ) from error
    return sorted(found.values(), key=lambda each: each.last)
