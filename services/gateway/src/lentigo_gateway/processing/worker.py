"""What becomes of an entry when working on it fails: one table, and one line in the log."""

import time
from collections.abc import Callable, Mapping
from typing import Final

from lentigo_gateway.errors import (
    DeliveryRefusedError,
    GatewayError,
    InstanceError,
    InstanceGoneError,
    Server,
    ServerUnavailableError,
    TryAgainError,
    WorkListError,
)
from lentigo_gateway.observability.logging import Log, fault
from lentigo_gateway.processing.holds import Holds
from lentigo_gateway.processing.processor import Processor
from lentigo_gateway.worklist.entries import OPEN, Entry, State
from lentigo_gateway.worklist.schedule import Backoff
from lentigo_gateway.worklist.store import WorkList

Probe = Callable[[], bool]
"""Returns whether a server answers at all, or raises."""

_ENDS: Final[Mapping[type[GatewayError], State]] = {
    InstanceGoneError: "gone",
    InstanceError: "refused",
    DeliveryRefusedError: "parked",
}


class Worker:
    """Works on what is due; several may share a work list."""

    def __init__(
        self,
        processor: Processor,
        worklist: WorkList,
        backoff: Backoff,
        attempts: int,
        probes: Mapping[Server, Probe],
        holds: Holds,
        log: Log,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Work with this processor.

        Args:
            processor: does the work.
            worklist: what there is to do.
            backoff: between attempts at one instance.
            attempts: failures after which an instance is parked.
            probes: whether a server is well, so that its illness is not held against an instance.
            holds: servers to be left alone.
            log: where each outcome goes.
            clock: seconds, for the time that an instance took.
        """
        self._processor = processor
        self._worklist = worklist
        self._backoff = backoff
        self._attempts = attempts
        self._probes = probes
        self._holds = holds
        self._log = log
        self._clock = clock

    def recover(self) -> None:
        """Count a failure of each entry that the last process was working on when it ended.

        An instance that ends the program, by a fault in a decoder or for want of memory, would end
        it again and again, and be in the way of all others.

        Raises:
            WorkListError: the work list cannot be read or written.
        """
        for entry in self._worklist.interrupted():
            self._failed(entry, "The gateway was ended while it worked on the instance.")

    def step(self) -> bool:
        """Work on one entry; return whether there was one.

        Raises:
            WorkListError: the work list cannot be read or written. The entry is as it was.
        """
        entry = self._claim()
        if entry is None:
            return False
        try:
            self._work_on(entry)
        finally:
            self._worklist.release(entry)
        return True

    def _claim(self) -> Entry | None:
        if self._holds.held("archive") or self._holds.held("results"):
            return None
        states: tuple[State, ...] = ("answered",) if self._holds.held("service") else OPEN
        return self._worklist.claim(states=states, archived=not self._holds.held("fhir"))

    def _work_on(self, entry: Entry) -> None:
        started = self._clock()
        try:
            outcome = self._processor.process(entry)
        except WorkListError:
            raise
        except ServerUnavailableError as error:
            self._wait_for(entry, error.server, str(error), error.retry_after_s)
        except TryAgainError as error:
            self._try_again(entry, error)
        except GatewayError as error:
            self._end(entry, error)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not stop the others' work
            self._unforeseen(entry, error)
        else:
            milliseconds = round((self._clock() - started) * 1000)
            self._log.info("instance", entry=entry.id, outcome=outcome, milliseconds=milliseconds)

    def _end(self, entry: Entry, error: GatewayError) -> None:
        state: State = next(
            (end for kind, end in _ENDS.items() if isinstance(error, kind)), "parked"
        )
        self._worklist.finish(entry, state, str(error))
        if state != "parked":
            self._processor.forget(entry)
        self._log.warning("instance", entry=entry.id, outcome=state, reason=str(error))

    def _wait_for(
        self, entry: Entry, server: Server, reason: str, requested_s: float | None
    ) -> None:
        """Leave a server alone; the entry waits with it, and no failure is counted."""
        delay = self._holds.hold(server, reason, requested_s)
        self._worklist.postpone(entry, delay, reason, failed=False)

    def _try_again(self, entry: Entry, error: TryAgainError) -> None:
        try:
            well = self._probes[error.server]()
        except GatewayError:
            well = False
        if not well:
            self._wait_for(entry, error.server, str(error), None)
            return
        self._failed(entry, str(error))

    def _unforeseen(self, entry: Entry, error: Exception) -> None:
        reason = fault(error)
        self._log.error("unforeseen error", entry=entry.id, reason=reason)
        self._failed(entry, reason)

    def _failed(self, entry: Entry, reason: str) -> None:
        failures = entry.failures + 1
        if failures >= self._attempts:
            self._worklist.finish(entry, "parked", f"{reason} Given up after {failures} attempts.")
            self._log.error("instance", entry=entry.id, outcome="parked", reason=reason)
            return
        delay = self._backoff.delay_s(failures)
        self._worklist.postpone(entry, delay, reason, failed=True)
        self._log.warning(
            "instance",
            entry=entry.id,
            outcome="to be tried again",
            failures=failures,
            seconds=round(delay, 1),
            reason=reason,
        )
