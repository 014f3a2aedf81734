"""The model in use: replaced at once, closed when the last request that uses it ends."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from lentigo_contract.repository.store import StoredVersion
from lentigo_engines.base import Engine
from lentigo_inference.errors import NotReadyError
from lentigo_inference.security.model_signature import SignatureCheck
from lentigo_inference.serving.decision import DecisionRule

_UNSIGNED: Final = SignatureCheck("unsigned")


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A version with the engine that runs it, and how it decides.

    Attributes:
        stored: the version.
        engine: runs it.
        rule: how it decides.
        manifest_sha256: hex digest of its manifest file, which names the digest of every other.
        signature: what is known of its signature.
    """

    stored: StoredVersion
    engine: Engine
    rule: DecisionRule
    manifest_sha256: str
    signature: SignatureCheck = _UNSIGNED

    @property
    def version(self) -> int:
        """Number of the version in the repository."""
        return self.stored.version


class ModelSlot:
    """Holds the model in use and counts the leases on each model. Safe from any thread.

    A lease pins one model while it is held. So a request that starts with version 1 ends with
    version 1, whatever is swapped in meanwhile.
    """

    def __init__(self, retire: Callable[[LoadedModel], None], retry_after_s: float = 1.0) -> None:
        """Start empty.

        Args:
            retire: called once for each model that is no longer in use or leased.
            retry_after_s: after which a client should try again while the slot is empty.
        """
        self._retire = retire
        self._retry_after_s = retry_after_s
        self._lock = threading.Lock()
        self._current: LoadedModel | None = None
        self._uses: dict[LoadedModel, int] = {}
        self._closed = False
        self._vacancy = self._open_vacancy = "No model is loaded yet. Try again shortly."

    @property
    def current(self) -> LoadedModel | None:
        """The model in use, for inspection; to run it, use `lease`."""
        return self._current

    def explain_vacancy(self, reason: str, openly: str | None = None) -> None:
        """Set the messages of the errors that are raised while the slot is empty.

        Args:
            reason: for `require`; may name paths.
            openly: for `require_openly`; by default the same.
        """
        self._vacancy = reason
        self._open_vacancy = reason if openly is None else openly

    def require(self) -> LoadedModel:
        """Return the model in use, for inspection.

        Raises:
            NotReadyError: there is none; the message says why.
        """
        current = self._current
        if current is None:
            raise NotReadyError(self._vacancy, self._retry_after_s)
        return current

    def require_openly(self) -> LoadedModel:
        """Do the same as `require`, with a message that anybody may read."""
        if self._current is None:
            raise NotReadyError(self._open_vacancy, self._retry_after_s)
        return self._current

    @contextmanager
    def lease(self) -> Iterator[LoadedModel]:
        """Pin the model in use while the context lasts. Raises as `require` does."""
        with self._lock:
            model = self.require()
            self._uses[model] += 1
        try:
            yield model
        finally:
            self._release(model)

    def swap(self, model: LoadedModel) -> None:
        """Bring a model into use; the previous one is retired once no lease on it is left."""
        with self._lock:
            if not self._closed:
                before, self._current = self._current, model
                # The slot itself counts as one use of the model.
                self._uses[model] = 1
            else:
                before, self._uses[model] = model, 1
        if before is not None:
            self._release(before)

    def close(self) -> None:
        """Release the model in use, and accept no other."""
        with self._lock:
            self._closed = True
            before, self._current = self._current, None
        if before is not None:
            self._release(before)

    def _release(self, model: LoadedModel) -> None:
        with self._lock:
            self._uses[model] -= 1
            last = not self._uses[model]
            if last:
                del self._uses[model]
        if last:
            self._retire(model)
