"""Confirmed answers, from the feedback in the audit trail, within bounded memory."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter, ValidationError

from lentigo_contract.labels import CODES
from lentigo_inference.audit.records import OTHER, Confirmation

MOST_ANSWERS: Final = 5000
"""Confirmed answers of a version that are kept: those that were confirmed last."""

MOST_VERSIONS: Final = 8
"""Versions whose confirmed answers are kept: those that got feedback last."""

# So many more are let in before the oldest go, so that they are rarely sorted.
_SLACK: Final = 500

_CODES: Final = "|".join(CODES)
_Code = Annotated[str, Field(pattern=f"^({_CODES})$")]
_CodeOrOther = Annotated[str, Field(pattern=f"^({_CODES}|{OTHER})$")]
_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
_Probability = Annotated[float, Field(ge=0, le=1, strict=True)]


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What was said of an image, and what it turned out to be; as in a record of feedback.

    Attributes:
        time: of the feedback, UTC; these texts sort by time.
        manifest_sha256: names the version that answered.
        image_sha256: names the image.
        said: the diagnosis; None if it was withheld.
        malignancy: the probability of malignancy; None if it was withheld.
        refer: whether to refer.
        diagnosis: the confirmed code, or `other`.
        confirmed_by: how.
    """

    time: _Time
    manifest_sha256: _Sha256
    image_sha256: _Sha256
    said: _Code | None
    malignancy: _Probability | None
    refer: Annotated[bool, Field(strict=True)]
    diagnosis: _CodeOrOther
    confirmed_by: Confirmation


_CONFIRMED: Final = TypeAdapter(Confirmed)


def confirmed_in(record: Mapping[str, Any]) -> Confirmed | None:
    """Return what a record of feedback says; None if it is not as the service writes it."""
    try:
        return _CONFIRMED.validate_python(dict(record))
    except ValidationError:
        return None


class ConfirmedAnswers:
    """The confirmed answers of the latest versions. Safe from any thread.

    An image counts once for each version: by the latest feedback, in whatever order it is added.
    """

    def __init__(
        self, most_answers: int = MOST_ANSWERS, most_versions: int = MOST_VERSIONS
    ) -> None:
        """Begin without any; the arguments are the bounds."""
        self._most_answers = most_answers
        self._most_versions = most_versions
        self._lock = threading.Lock()
        self._by_version: dict[str, dict[str, Confirmed]] = {}
        self._latest: dict[str, str] = {}
        self._revision = 0

    @property
    def revision(self) -> int:
        """Grows with every change."""
        return self._revision

    def add(self, confirmed: Confirmed) -> None:
        """Add an answer, or replace it if the feedback is later."""
        version = confirmed.manifest_sha256
        with self._lock:
            answers = self._by_version.setdefault(version, {})
            known = answers.get(confirmed.image_sha256)
            if known is not None and known.time > confirmed.time:
                return
            answers[confirmed.image_sha256] = confirmed
            self._latest[version] = max(confirmed.time, self._latest.get(version, ""))
            self._revision += 1
            if len(answers) > self._most_answers + _SLACK:
                newest = _newest_first(answers)[: self._most_answers]
                self._by_version[version] = {each.image_sha256: each for each in newest}
            if len(self._by_version) > self._most_versions:
                oldest = min(self._latest, key=self._latest.__getitem__)
                del self._by_version[oldest], self._latest[oldest]

    def of(self, manifest_sha256: str) -> tuple[Confirmed, ...]:
        """Return the confirmed answers of a version, the latest first."""
        with self._lock:
            newest = _newest_first(self._by_version.get(manifest_sha256, {}))
        return tuple(newest[: self._most_answers])


def _newest_first(answers: Mapping[str, Confirmed]) -> list[Confirmed]:
    return sorted(answers.values(), key=lambda each: each.time, reverse=True)
