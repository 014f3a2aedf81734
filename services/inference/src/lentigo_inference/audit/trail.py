"""The audit trail of a running service: many answers share one write and one flush of the disk.

Requests hand their records to one thread. While it flushes, further ones come together, and the
next flush is for all of them, as databases do with the commits of transactions.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from lentigo_inference.audit.chain import Fields
from lentigo_inference.audit.writer import ChainWriter, FileEvent
from lentigo_inference.errors import AuditUnavailableError
from lentigo_inference.observability.records import AuditRecord

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

# Requests whose records are written together, at most.
_TOGETHER: Final = 1024

# Requests whose records may wait. More can only come at best effort, from a disk that hangs.
_WAITING: Final = 8192

_WITHHELD: Final = (
    "The answer could not be put on record, so it is withheld. Try again after the given delay; "
    "the log of the service has the cause."
)


@dataclass(frozen=True, slots=True)
class _Handed:
    """Records to write, and whom to tell how it went."""

    records: Sequence[Fields]
    done: Callable[[bool], None] | None = None


class AuditTrail:
    """Puts records on the disk, in a thread of its own. Safe from any thread."""

    def __init__(
        self,
        writer: ChainWriter,
        *,
        required: bool,
        timeout_s: float,
        observe: Callable[[AuditRecord], None] = lambda _record: None,
    ) -> None:
        """Prepare; `start` begins.

        Args:
            writer: writes the records; nobody else uses it.
            required: whether an answer waits until its record is on the disk.
            timeout_s: how long it waits at most, in seconds.
            observe: called for each write.
        """
        self._writer = writer
        self._required = required
        self._timeout_s = timeout_s
        self._observe = observe
        self._queue: queue.Queue[_Handed | None] = queue.Queue(_WAITING)
        self._failing: str | None = None
        # A daemon, so that a disk that hangs cannot keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="lentigo-audit", daemon=True)

    def start(self) -> None:
        """Begin, with a checkpoint that says so."""
        self._queue.put(_Handed(()))
        self._thread.start()

    def close(self, timeout_s: float) -> bool:
        """Write what waits, sign it and close the file; return whether that was in time."""
        with suppress(queue.Full):
            self._queue.put(None, timeout=timeout_s)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    async def record(self, records: Sequence[Fields], *, durable: bool | None = None) -> None:
        """Put records on the disk, all of them or none.

        Args:
            records: what to write.
            durable: whether to wait for the disk; by default if the trail is required.

        Raises:
            AuditUnavailableError: they cannot be written, or not in time.
        """
        if not (self._required if durable is None else durable):
            self.note(records)
            return
        loop = asyncio.get_running_loop()
        written: asyncio.Future[bool] = loop.create_future()

        def settle(succeeded: bool) -> None:
            # The loop has ended if the service was cut off, and the future if the client left.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_set_result, written, succeeded)

        try:
            self._queue.put_nowait(_Handed(records, settle))
            async with asyncio.timeout(self._timeout_s):
                succeeded = await written
        except (queue.Full, TimeoutError) as error:
            raise AuditUnavailableError(_WITHHELD) from error
        if not succeeded:
            raise AuditUnavailableError(_WITHHELD)

    def note(self, records: Sequence[Fields]) -> None:
        """Have records written soon, without waiting; what cannot be written is counted."""
        try:
            self._queue.put_nowait(_Handed(records))
        except queue.Full:
            self._report(len(records), 0.0, "more records wait than may")

    def _run(self) -> None:
        stopping = False
        while not stopping:
            handed, stopping = self._next()
            if stopping and not handed:
                break
            records = [record for each in handed for record in each.records]
            started = time.monotonic()
            try:
                self._writer.write(records)
            except Exception as error:  # noqa: BLE001 - the thread goes on, and the next may succeed
                reason: str | None = str(error)
            else:
                reason = None
            self._report(len(records), time.monotonic() - started, reason)
            for each in handed:
                if each.done is not None:
                    each.done(reason is None)
        try:
            self._writer.close()
        except Exception as error:  # noqa: BLE001 - there is nobody left to tell but the log
            self._report(0, 0.0, str(error))

    def _next(self) -> tuple[list[_Handed], bool]:
        """Wait for records, or for the time of a checkpoint; also return whether to stop."""
        handed: list[_Handed] = []
        try:
            first = self._queue.get(timeout=self._writer.checkpoint_due_s)
            while first is not None:
                handed.append(first)
                if len(handed) == _TOGETHER:
                    return handed, False
                first = self._queue.get_nowait()
        except queue.Empty:
            return handed, False
        return handed, True

    def _report(self, records: int, seconds: float, reason: str | None) -> None:
        """Count, and log when the trail fails or is written again, not for every record."""
        self._observe(AuditRecord(records, seconds, succeeded=reason is None))
        if reason is not None and self._failing is None:
            consequence = "answers are withheld" if self._required else "answers leave unrecorded"
            _log.error("audit trail not written", reason=reason, consequence=consequence)
        elif reason is None and self._failing is not None:
            _log.info("audit trail written again")
        self._failing = reason


def log_file(event: FileEvent) -> None:
    """Log that a file was begun or closed, with its head: the log is kept elsewhere."""
    log = _log.warning if event.cut_off else _log.info
    log(
        f"audit file {event.event}",
        file=event.file,
        cause=event.cause,
        cut_off=event.cut_off,
        seq=event.head.seq,
        head=event.head.digest,
    )


def _set_result(future: asyncio.Future[bool], succeeded: bool) -> None:
    if not future.done():
        future.set_result(succeeded)
