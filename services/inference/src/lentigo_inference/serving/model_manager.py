"""Watches the model repository and brings its newest sound version into use.

A version goes through verify, load, warm up and swap. If any of these fails, the model in use
stays, and `POST /v2/repository/index` reports the reason.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import structlog

from lentigo_contract.errors import EngineError, RepositoryError, StorageError, VersionNotFoundError
from lentigo_contract.repository.store import ModelStore
from lentigo_contract.wording import first_line
from lentigo_inference.engines.selection import EngineLoader
from lentigo_inference.errors import ServiceBusyError, VersionRefusedError
from lentigo_inference.observability.records import LoadRecord
from lentigo_inference.serving.loading import (
    FolderFingerprint,
    LoadOptions,
    fingerprint,
    load_version,
    require_unobjected,
)
from lentigo_inference.serving.model_slot import LoadedModel, ModelSlot

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

# How long a request to load a version waits for a load under way, in seconds.
_LOAD_LOCK_TIMEOUT_S: Final = 30.0

_DEFAULT_OPTIONS: Final = LoadOptions()

_EMPTY: Final = "No model version has been published yet."
_HELD_BACK: Final = (
    "Version {} answers in the shadow alone, because LENTIGO_SHADOW_VERSION names it. Load it by "
    "its number to use it."
)


class VersionStatus(StrEnum):
    """States in the repository extension of the Open Inference Protocol."""

    READY = "READY"
    LOADING = "LOADING"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class VersionState:
    """State of one version, with the reason if it is not in use."""

    version: int
    status: VersionStatus
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a version was refused, and what its folder looked like then."""

    folder: FolderFingerprint
    reason: str


class ModelManager:
    """Keeps a slot filled from a repository. Safe from any thread; `check` and `load` block."""

    def __init__(
        self,
        store: ModelStore,
        slot: ModelSlot,
        load: EngineLoader,
        *,
        options: LoadOptions = _DEFAULT_OPTIONS,
        pinned: int | None = None,
        shadow: int | None = None,
        observe: Callable[[LoadRecord], None] = lambda _record: None,
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            store: the model repository.
            slot: holds the model in use.
            load: loads the engine of a version.
            options: what a version must pass.
            pinned: the version to serve; by default always the newest.
            shadow: a version that is only used when `load` names it.
            observe: called with the record of every attempt to load.
        """
        self._options = options
        self._shadow = shadow
        self._configured_pin = pinned
        self._pinned = pinned
        self._observe = observe
        self._store = store
        self._slot = slot
        self._load = load
        self._lock = threading.Lock()
        self._seen: tuple[int, ...] = ()
        self._loading: int | None = None
        self._refusals: dict[int, _Refusal] = {}
        self._read_error: str | None = None

    @property
    def refused(self) -> int:
        """Number of versions in the repository that could not be brought into use."""
        return len(self._refusals)

    @property
    def readable(self) -> bool:
        """Whether the repository was readable at the last check."""
        return self._read_error is None

    def check(self) -> None:
        """Check the repository once, and bring a newer sound version into use, newest first.

        With a pinned version, only that one is loaded. A version that was refused is tried again
        only when its folder has changed.
        """
        with self._lock:
            try:
                versions = self._store.versions()
            except StorageError as error:
                self._report_readability(str(error))
                return
            self._report_readability(None)
            self._seen = tuple(versions)
            self._refusals = {v: why for v, why in self._refusals.items() if v in self._seen}
            any(self._try_version(version) for version in reversed(self._candidates(versions)))
            self._explain_vacancy()

    def load(self, version: int | None = None, *, force: bool = False) -> int:
        """Bring a version into use now, also one already in use or refused before.

        A given version stays pinned from now on, even an old one. Without one, the settings apply
        again: the pinned version, or the newest sound one. If this fails, the version in use stays.

        Args:
            version: its number.
            force: whether to load it although its manifest says that its publication was forced, or
                that it was trained with a limit.

        Returns:
            The version in use.

        Raises:
            ServiceBusyError: another load takes too long.
            VersionNotFoundError: the repository holds no such version.
            VersionRefusedError: it cannot be brought into use; the message says why.
        """
        if not self._lock.acquire(timeout=_LOAD_LOCK_TIMEOUT_S):
            raise ServiceBusyError("Another version is being loaded. Try again after the delay.")
        try:
            if version is not None and not force:
                require_unobjected(self._store, version)
            return self._load_now(version if version is not None else self._configured_pin, version)
        finally:
            self._lock.release()

    def _load_now(self, requested: int | None, pin: int | None) -> int:
        try:
            versions = self._store.versions()
        except StorageError as error:
            raise VersionRefusedError(str(error)) from error
        self._seen = tuple(versions)
        if not versions or (requested is not None and requested not in versions):
            raise VersionNotFoundError(
                f"The repository holds no version{'' if requested is None else f' {requested}'}. "
                "POST /v2/repository/index lists those there are."
            )
        candidates = self._unshadowed(versions)[::-1] if requested is None else [requested]
        if not candidates:
            raise VersionRefusedError(_HELD_BACK.format(self._shadow))
        self._refusals = {v: why for v, why in self._refusals.items() if v not in candidates}
        for candidate in candidates:
            if self._try_version(candidate):
                self._pinned = pin if pin is not None else self._configured_pin
                return candidate
        newest = candidates[0]
        raise VersionRefusedError(
            f"Version {newest} could not be loaded: {self._refusals[newest].reason}"
        )

    def _candidates(self, versions: list[int]) -> list[int]:
        """Return the versions that a check may bring into use, ascending."""
        current = self._slot.current
        if self._pinned is not None:
            found = current is not None and current.version == self._pinned
            return [self._pinned] if self._pinned in versions and not found else []
        return [v for v in self._unshadowed(versions) if current is None or v > current.version]

    def _unshadowed(self, versions: list[int]) -> list[int]:
        return [version for version in versions if version != self._shadow]

    def states(self) -> list[VersionState]:
        """Return the state of every version seen at the last check, and of the one in use."""
        current = self._slot.current
        versions = {*self._seen} | ({current.version} if current else set())
        return [self._state(version, current) for version in sorted(versions)]

    def _state(self, version: int, current: LoadedModel | None) -> VersionState:
        refusal = self._refusals.get(version)
        if current is not None and version == current.version:
            return VersionState(version, VersionStatus.READY, self._remark(current))
        if version == self._loading:
            return VersionState(version, VersionStatus.LOADING)
        if refusal is not None:
            return VersionState(version, VersionStatus.UNAVAILABLE, refusal.reason)
        if version == self._shadow:
            return VersionState(version, VersionStatus.UNAVAILABLE, _HELD_BACK.format(version))
        reason = f"Version {current.version} is in use." if current else "Not loaded yet."
        return VersionState(version, VersionStatus.UNAVAILABLE, reason)

    def _remark(self, current: LoadedModel) -> str:
        """Say what is unusual about the version in use, if anything is."""
        if current.version not in self._seen:
            return "In use; its folder is no longer there."
        forced = current.stored.manifest.forced
        return f"In use, although its publication was forced: {forced}" if forced else ""

    def _try_version(self, version: int) -> bool:
        """Bring a version into use and return True, or refuse it and record why."""
        folder = fingerprint(self._store.folder / str(version))
        refusal = self._refusals.get(version)
        if refusal is not None and refusal.folder == folder:
            return False
        self._loading = version
        started = time.monotonic()
        succeeded = False
        try:
            model = load_version(self._store, version, self._load, self._options)
            succeeded = True
        except (RepositoryError, EngineError, OSError) as error:
            self._refuse(version, folder, str(error))
            return False
        except Exception as error:  # noqa: BLE001 - it concerns this version, and others may be sound
            reason = f"Loading it failed with {type(error).__name__}: {first_line(error)}"
            self._refuse(version, folder, reason, unexpected=error)
            return False
        finally:
            self._loading = None
            took = time.monotonic() - started
            self._observe(LoadRecord(version, took, succeeded))
        self._refusals.pop(version, None)
        self._slot.swap(model)
        _log.info(
            "model in use",
            version=version,
            engine=model.engine.name,
            seconds=round(took, 3),
            decided_by=model.rule.decided_by,
            decided_by_reason=model.rule.reason,
            prevalence=model.rule.prevalence_source or "not declared",
        )
        if model.stored.manifest.forced:
            _log.warning(
                "forced model in use", version=version, reason=model.stored.manifest.forced
            )
        return True

    def _refuse(
        self,
        version: int,
        folder: FolderFingerprint,
        reason: str,
        unexpected: Exception | None = None,
    ) -> None:
        self._refusals[version] = _Refusal(folder, reason)
        _log.error("model refused", version=version, reason=reason, exc_info=unexpected)

    def _report_readability(self, reason: str | None) -> None:
        """Log when the repository becomes unreadable or readable again, not at every check."""
        if reason != self._read_error:
            self._read_error = reason
            if reason is None:
                _log.info("model repository readable again")
            else:
                _log.error("model repository unreadable", reason=reason)
        if reason is not None:
            self._slot.explain_vacancy(
                reason, "The model repository cannot be read. The log says why."
            )

    def _explain_vacancy(self) -> None:
        refused = max(self._refusals, default=None)
        if self._pinned is not None and self._pinned not in self._seen:
            self._slot.explain_vacancy(
                f"Version {self._pinned} is pinned, and the repository does not hold it."
            )
        elif self._seen and self._seen == (self._shadow,):
            self._slot.explain_vacancy(_HELD_BACK.format(self._shadow))
        elif refused is None:
            self._slot.explain_vacancy(_EMPTY)
        else:
            reason = self._refusals[refused].reason
            self._slot.explain_vacancy(
                f"Version {refused} could not be loaded: {reason}",
                f"Version {refused} could not be loaded. POST /v2/repository/index says why.",
            )
