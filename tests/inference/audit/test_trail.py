"""The thread between requests and the disk."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lentigo_inference.audit.chain import Fields
from lentigo_inference.audit.trail import AuditTrail
from lentigo_inference.audit.writer import ChainWriter
from lentigo_inference.errors import AuditUnavailableError
from lentigo_inference.observability.records import AuditRecord
from tests.inference.audit.trails import Trail
from tests.inference.network import DEADLINE_S

pytestmark = pytest.mark.anyio


class HeldWriter:
    """A writer that waits until the test lets it go on, and may fail."""

    checkpoint_due_s = None

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        self.written: list[list[str]] = []
        self.failure: Exception | None = None

    def write(self, records: Sequence[Fields]) -> None:
        self.written.append([record["kind"] for record in records])
        if records:
            self.reached.set()
            assert self.opened.wait(DEADLINE_S)
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        self.written.append(["close"])

    @property
    def batches(self) -> list[list[str]]:
        """What was written; the first, which opens the file, has no records of its own."""
        return [each for each in self.written if each]


@pytest.fixture
def held() -> Iterator[HeldWriter]:
    writer = HeldWriter()
    yield writer
    writer.opened.set()


@asynccontextmanager
async def trail_of(
    writer: Any, *, required: bool = True, timeout_s: float = DEADLINE_S
) -> AsyncIterator[tuple[AuditTrail, list[AuditRecord]]]:
    seen: list[AuditRecord] = []
    trail = AuditTrail(writer, required=required, timeout_s=timeout_s, observe=seen.append)
    trail.start()
    try:
        yield trail, seen
    finally:
        if isinstance(writer, HeldWriter):
            writer.opened.set()
        assert await asyncio.to_thread(trail.close, DEADLINE_S)


def record(name: str = "a") -> list[Fields]:
    return [{"kind": name}]


async def test_records_that_come_during_a_write_share_the_next(held: HeldWriter) -> None:
    async with trail_of(held) as (trail, _seen):
        first = asyncio.create_task(trail.record(record("first")))
        assert await asyncio.to_thread(held.reached.wait, DEADLINE_S)
        others = [asyncio.create_task(trail.record(record(str(each)))) for each in range(5)]
        await asyncio.sleep(0)
        assert not first.done()
        held.opened.set()
        await asyncio.gather(first, *others)
    assert held.batches == [["first"], ["0", "1", "2", "3", "4"], ["close"]]


async def test_at_best_effort_nobody_waits(held: HeldWriter) -> None:
    async with trail_of(held, required=False) as (trail, _seen):
        await trail.record(record("first"))
        assert await asyncio.to_thread(held.reached.wait, DEADLINE_S)
        await trail.record(record("second"))
    assert held.batches == [["first"], ["second"], ["close"]]


async def test_what_must_be_durable_waits_at_best_effort_too(held: HeldWriter) -> None:
    held.failure = OSError("no")
    held.opened.set()
    async with trail_of(held, required=False) as (trail, _seen):
        with pytest.raises(AuditUnavailableError):
            await trail.record(record(), durable=True)


@pytest.mark.parametrize("failure", [OSError("the disk"), ValueError("a bug")])
async def test_the_thread_goes_on_after_a_failure(held: HeldWriter, failure: Exception) -> None:
    held.failure = failure
    held.opened.set()
    async with trail_of(held) as (trail, seen):
        with pytest.raises(AuditUnavailableError, match="withheld"):
            await trail.record(record())
        held.failure = None
        await trail.record(record())
    assert [each.succeeded for each in seen[-2:]] == [False, True]


async def test_a_write_that_takes_too_long_is_a_failure(held: HeldWriter) -> None:
    async with trail_of(held, timeout_s=0.01) as (trail, _seen):
        with pytest.raises(AuditUnavailableError):
            await trail.record(record())


async def test_no_more_records_wait_than_may(
    held: HeldWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lentigo_inference.audit.trail._WAITING", 2)
    async with trail_of(held, required=False) as (trail, seen):
        await trail.record(record("first"))
        assert await asyncio.to_thread(held.reached.wait, DEADLINE_S)
        for _ in range(4):
            await trail.record(record("more"))
        with pytest.raises(AuditUnavailableError):
            await trail.record(record("durable"), durable=True)
    assert sum(each.records for each in seen if not each.succeeded) == 2
    assert held.batches == [["first"], ["more", "more"], ["close"]]


async def test_a_client_that_leaves_changes_nothing(held: HeldWriter) -> None:
    async with trail_of(held) as (trail, _seen):
        leaving = asyncio.create_task(trail.record(record("left")))
        assert await asyncio.to_thread(held.reached.wait, DEADLINE_S)
        leaving.cancel()
        held.opened.set()
        await trail.record(record("stayed"))
    assert held.batches == [["left"], ["stayed"], ["close"]]


async def test_what_waits_when_the_service_stops_is_written(trail: Trail) -> None:
    writer: ChainWriter = trail.writer()
    async with trail_of(writer, required=False) as (audited, _seen):
        for _ in range(50):
            await audited.record([trail.answer()])
    kinds = [each["kind"] for each in trail.records()]
    assert kinds == ["checkpoint", *["answer"] * 50, "checkpoint"]
    assert trail.found() == []
