"""Keeps what the service monitors, and sums it up for the version in use."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from lentigo_contract.system.priority import at_low_priority
from lentigo_inference.errors import AuditFileError
from lentigo_inference.monitoring.agreement import Agreement, compare
from lentigo_inference.monitoring.confirmed import ConfirmedAnswers
from lentigo_inference.monitoring.drift import InputSummary, summarize
from lentigo_inference.monitoring.expected import expected_diagnoses
from lentigo_inference.monitoring.follower import FeedbackFollower
from lentigo_inference.monitoring.seen import SeenImage, SeenImages
from lentigo_inference.serving.judgement import PredictionResult
from lentigo_inference.serving.model_slot import LoadedModel

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class Monitor:
    """What was said, what was confirmed, and what the images look like. Safe from any thread."""

    def __init__(self, trail: Path | None, clock: Callable[[], float] = time.time) -> None:
        """Prepare; nothing is read yet.

        Args:
            trail: folder of the audit trail; without it nothing is confirmed.
            clock: Unix time in seconds.
        """
        self._clock = clock
        self._seen = SeenImages()
        self._confirmed = ConfirmedAnswers()
        self._follower = None if trail is None else FeedbackFollower(trail, self._confirmed)
        self._failing: str | None = None
        self._lock = threading.Lock()
        # The last comparison: of which version and feedback, and what came out.
        self._compared: tuple[str, int, Agreement] | None = None

    def observe(self, result: PredictionResult) -> None:
        """Note an image that was answered; takes microseconds."""
        image = SeenImage(
            time=self._clock(),
            brightness=result.upload.brightness,
            sharpness=result.upload.sharpness,
            accepted=result.quality.accepted,
            unlikeness=result.quality.unlikeness,
            diagnosis=None if result.decision is None else result.decision.diagnosis,
        )
        self._seen.add(result.model.manifest_sha256, image)

    def refresh(self) -> None:
        """Read the feedback that was added to the trail, by any instance; blocks.

        Raises:
            AuditFileError: the trail cannot be read.
        """
        if self._follower is not None:
            self._follower.refresh()

    def follow(self) -> None:
        """Do the same at low priority, and log if the trail cannot be read, once."""
        try:
            at_low_priority(self.refresh)
        except AuditFileError as error:
            if str(error) != self._failing:
                _log.warning("feedback not read", reason=str(error))
            self._failing = str(error)
        else:
            self._failing = None

    def agreement(self, model: LoadedModel) -> Agreement:
        """Compare what a version said with what was confirmed, as far as it was read."""
        version = model.manifest_sha256
        with self._lock:
            revision = self._confirmed.revision
            known = self._compared
            if known is not None and known[:2] == (version, revision):
                return known[2]
            found = compare(self._confirmed.of(version))
            self._compared = (version, revision, found)
            return found

    def input_of(self, model: LoadedModel) -> InputSummary:
        """Compare the images that a version was sent lately with those that it was measured on."""
        manifest = model.stored.manifest
        return summarize(
            self._seen.of(model.manifest_sha256),
            manifest.input_reference,
            expected_diagnoses(manifest, model.rule),
        )
