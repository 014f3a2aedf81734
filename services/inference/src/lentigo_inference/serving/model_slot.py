"""The model in use: swapped at once, released when the last request that has it ends."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lentigo_contract.repository.store import StoredVersion
from lentigo_engines.base import Engine
from lentigo_inference.errors import NotReadyError


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A version with the engine that runs it."""

    stored: StoredVersion
    engine: Engine

    @property
    def version(self) -> int:
        """Its number in the repository."""
        return self.stored.version


class ModelSlot:
    """Holds the model in use and counts who is using which. Safe from any thread.

    A lease pins one model for as long as it is held, so a request that began with version 1 ends
    with version 1, whatever is swapped in meanwhile.
    """

    def __init__(self, retire: Callable[[LoadedModel], None], retry_after_s: float = 1.0) -> None:
        """Start empty.

        Args:
            retire: called once for every model that is neither in use nor leased any more.
            retry_after_s: what a caller is told to wait while the slot is empty.
        """
        self._retire = retire
        self._retry_after_s = retry_after_s
        self._lock = threading.Lock()
        self._current: LoadedModel | None = None
        self._uses: dict[LoadedModel, int] = {}
        self._closed = False
        self._vacancy = "No model is loaded yet. Try again shortly."

    @property
    def current(self) -> LoadedModel | None:
        """The model in use, to look at; to run it, take a lease."""
        return self._current

    def explain_vacancy(self, reason: str) -> None:
        """Set what callers are told while the slot is empty."""
        self._vacancy = reason

    def require(self) -> LoadedModel:
        """Give the model in use, to look at.

        Raises:
            NotReadyError: there is none; the message says why.
        """
        current = self._current
        if current is None:
            raise NotReadyError(self._vacancy, self._retry_after_s)
        return current

    @contextmanager
    def lease(self) -> Iterator[LoadedModel]:
        """Pin the model in use for as long as the context lasts. Raises as `require` does."""
        with self._lock:
            model = self.require()
            self._uses[model] += 1
        try:
            yield model
        finally:
            self._release(model)

    def swap(self, model: LoadedModel) -> None:
        """Put a model to use; the one before is retired once nobody has a lease on it."""
        with self._lock:
            if not self._closed:
                before, self._current = self._current, model
                # The slot's own hold on the model is one of its uses.
                self._uses[model] = 1
            else:
                before, self._uses[model] = model, 1
        if before is not None:
            self._release(before)

    def close(self) -> None:
        """Let go of the model in use, for good."""
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
