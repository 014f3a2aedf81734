"""The trial of a shadow version: images wait for it in a bounded queue, and nothing waits for it.

A thread hands the images to the process of the version and puts on record what it says. Whatever
goes wrong there, the service answers as if there were no shadow version.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import structlog

from lentigo_contract.errors import EngineError
from lentigo_contract.repository.store import ModelStore
from lentigo_inference.audit.records import ModelInUse, Said, shadow
from lentigo_inference.errors import ShadowError, VersionRefusedError
from lentigo_inference.serving.limits.admission import Admission
from lentigo_inference.serving.loading import fingerprint
from lentigo_inference.serving.model_slot import ModelSlot
from lentigo_inference.settings import Settings
from lentigo_inference.shadow.counts import ShadowCounts
from lentigo_inference.shadow.process import Offer, ShadowProcess

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

# Images that wait, at most: 10 MB of pixels.
_WAITING: Final = 64

# What no folder is like.
_NO_FOLDER: Final = object()

# How long a version that failed is left alone, in seconds, so that one that always does costs
# little.
_PAUSE_S: Final = 60.0


Record = Callable[[Sequence[Mapping[str, Any]]], None]
"""Puts records into the audit trail, without waiting."""


def _not_recorded(_records: Sequence[Mapping[str, Any]]) -> None:
    """Put no record anywhere: there is no audit trail."""


class Answering(Protocol):
    """What answers for the version: a `ShadowProcess`, or something like it."""

    def load(self) -> ModelInUse:
        """Load the version."""

    def answer(self, offer: Offer) -> Said:
        """Answer an image."""

    def require_running(self) -> None:
        """Check that it has not ended."""

    def hold(self) -> None:
        """Let it stand still, for a moment."""

    def release(self) -> None:
        """Let it go on."""

    def kill(self) -> None:
        """End it from any thread; whoever waits for an answer gets an error."""

    def close(self) -> None:
        """End it."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a trial knows of the service.

    Attributes:
        in_use: the number of the version in use.
        busy: whether the service has so much to do that images are dropped.
        folder: describes the version's folder, so that any change of it shows.
        record: puts records into the audit trail, without waiting.
    """

    in_use: Callable[[], int | None]
    busy: Callable[[], bool] = lambda: False
    folder: Callable[[], object] = lambda: None
    record: Record = _not_recorded


@dataclass(slots=True)
class _Version:
    """The version while it answers."""

    process: Answering
    model: ModelInUse
    # Whether it was logged that it could not answer an image.
    complained: bool = field(default=False)


class ShadowTrial:
    """Compares a version with the one in use. `offer` may be called from the event loop."""

    def __init__(
        self,
        version: int,
        start: Callable[[], Answering],
        surroundings: Surroundings,
        *,
        interval_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; `begin` starts it.

        Args:
            version: number of the version.
            start: starts the process that answers for it; raises OSError if it cannot.
            surroundings: what the trial knows of the service.
            interval_s: seconds between two looks at the folder and at the version in use.
            clock: monotonic seconds.
        """
        self.counts = ShadowCounts()
        self._number = version
        self._start = start
        self._surroundings = surroundings
        self._interval_s = interval_s
        self._clock = clock
        self._offers: queue.Queue[Offer | None] = queue.Queue(_WAITING)
        self._process: Answering | None = None
        self._version: _Version | None = None
        self._refused: object = _NO_FOLDER
        self._paused_until = clock()
        self._stopping = threading.Event()
        # A daemon, so that a volume that hangs cannot keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="lentigo-shadow", daemon=True)

    def begin(self) -> None:
        """Start to load the version, and then to answer."""
        self._thread.start()

    def offer(self, offer: Offer) -> None:
        """Have an image answered by the version, too, or drop it; never waits and never fails."""
        if offer.served.version == self._number:
            # It is in use: there is nothing to compare.
            return
        if self._version is None or self._surroundings.busy():
            self.counts.count("dropped")
            return
        try:
            self._offers.put_nowait(offer)
        except queue.Full:
            self.counts.count("dropped")

    def make_way(self, begins: bool) -> None:
        """Let the version stand still while the service computes, and go on after that."""
        process = self._process
        if process is not None:
            if begins:
                process.hold()
            else:
                process.release()

    def close(self, timeout_s: float) -> bool:
        """End the version, and drop what waits; return whether that was in time."""
        self._stopping.set()
        with suppress(queue.Full):
            # Wakes the thread.
            self._offers.put_nowait(None)
        process = self._process
        if process is not None:
            process.kill()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    self._step()
                except Exception as error:  # noqa: BLE001 - whatever it is, the service goes on
                    self._fail("shadow version failed", f"{type(error).__name__}: {error}")
        finally:
            self._end()

    def _step(self) -> None:
        """Do the next thing: load the version, let it answer an image, or wait."""
        if self._surroundings.in_use() == self._number:
            if self._version is not None:
                _log.info("shadow version in use", version=self._number)
            self._end()
            self._stopping.wait(self._interval_s)
            return
        version = self._version or self._load()
        if version is None:
            self._stopping.wait(self._interval_s)
            return
        try:
            offer = self._offers.get(timeout=self._interval_s)
            if offer is not None:
                self._compare(version, offer)
        except queue.Empty:
            self._require_running(version)
        except ShadowError as error:
            self.counts.count("failed")
            self._fail("shadow version failed", str(error))

    def _require_running(self, version: _Version) -> None:
        try:
            version.process.require_running()
        except ShadowError as error:
            self._fail("shadow version failed", str(error))

    def _load(self) -> _Version | None:
        """Load the version; None if it cannot be used now."""
        folder = self._surroundings.folder()
        if self._clock() < self._paused_until or folder == self._refused:
            return None
        started = self._clock()
        try:
            self._process = self._start()
            if self._stopping.is_set():
                return None
            model = self._process.load()
        except VersionRefusedError as error:
            # Tried again when its folder changes.
            self._refused = folder
            self._fail("shadow version not loaded", str(error), pause_s=0.0)
            return None
        except (ShadowError, OSError) as error:
            self._fail("shadow version not loaded", str(error))
            return None
        self._refused = _NO_FOLDER
        self._version = _Version(self._process, model)
        self.counts.show(self._number)
        _log.info(
            "shadow version loaded",
            version=self._number,
            engine=model.engine,
            seconds=round(self._clock() - started, 3),
        )
        return self._version

    def _compare(self, version: _Version, offer: Offer) -> None:
        """Let the version answer an image, count and record it; raises ShadowError."""
        try:
            said = version.process.answer(offer)
        except EngineError as error:
            self.counts.count("failed")
            if not version.complained:
                version.complained = True
                _log.warning("shadow version gave no answer", reason=str(error))
            return
        self.counts.compare(offer.served, said)
        model = replace(version.model, settings={**version.model.settings, "force": offer.force})
        self._surroundings.record([shadow(offer.served, said, model)])

    def _fail(self, event: str, reason: str, pause_s: float = _PAUSE_S) -> None:
        """Let go of a version that cannot be used, and say so once."""
        self._end()
        self._paused_until = self._clock() + pause_s
        if not self._stopping.is_set():
            _log.error(event, version=self._number, reason=reason)

    def _end(self) -> None:
        """End the process, if there is one, and drop the images that wait for it."""
        self._version = None
        self.counts.show(0)
        process, self._process = self._process, None
        if process is not None:
            process.close()
        with suppress(queue.Empty):
            while True:
                if self._offers.get_nowait() is not None:
                    self.counts.count("dropped")


def trial_of(
    settings: Settings, slot: ModelSlot, admission: Admission, record: Record | None
) -> ShadowTrial | None:
    """Return the trial that the settings ask for; None if they ask for none.

    Args:
        settings: of the service.
        slot: holds the version in use.
        admission: knows whether there is room for more than the requests.
        record: puts records into the audit trail, if there is one.
    """
    version = settings.shadow_version
    if version is None:
        return None
    folder = ModelStore(settings.model_repository).folder / str(version)

    def in_use() -> int | None:
        current = slot.current
        return None if current is None else current.version

    return ShadowTrial(
        version,
        lambda: ShadowProcess(settings),
        Surroundings(
            in_use,
            busy=lambda: admission.crowded,
            folder=lambda: fingerprint(folder),
            record=_not_recorded if record is None else record,
        ),
        interval_s=min(1.0, settings.reload_interval_s),
    )
