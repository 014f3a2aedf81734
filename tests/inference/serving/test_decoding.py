"""Decoding in bounded memory: what waits for it, and what does not."""

import asyncio
import hashlib
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache

import pytest
from PIL import Image

from lentigo_contract.errors import ImageBoundsError, UndecodableImageError
from lentigo_contract.imaging.read import ImageLimits, ModelImage, OpenedImage
from lentigo_inference.errors import ServiceBusyError
from lentigo_inference.observability.records import DecodeTimes, RequestRecord
from lentigo_inference.serving.decoding import DecodeLimits, DecodePool
from lentigo_inference.serving.limits.memory_budget import MemoryBudget
from tests.fakes import jpeg_bytes
from tests.images import encoded

pytestmark = pytest.mark.anyio

MIB = 2**20
SERVICE = DecodeLimits(threads=1, memory=304 * MIB)


@cache
def large_png() -> bytes:
    """20 MiB in memory."""
    return encoded(Image.new("L", (4000, 5000)), "PNG")


class Held:
    """Holds large images amid their decoding."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.release = threading.Event()
        self.begun = 0
        self._one_more = threading.Semaphore(0)
        read: Callable[[OpenedImage], ModelImage] = OpenedImage.read

        def held(opened: OpenedImage) -> ModelImage:
            if opened.memory > 16 * MIB:
                self.begun += 1
                self._one_more.release()
                assert self.release.wait(60)
            return read(opened)

        monkeypatch.setattr(OpenedImage, "read", held)

    async def hold(self, images: int) -> None:
        for _ in range(images):
            assert await asyncio.to_thread(self._one_more.acquire, timeout=60)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(monkeypatch)


async def test_small_images_do_not_wait_behind_large_ones(held: Held) -> None:
    pool = DecodePool(SERVICE, ImageLimits())
    large = [asyncio.create_task(pool.decode(large_png())) for _ in range(4)]
    await held.hold(1)

    small = await pool.decode(jpeg_bytes())

    assert small.image.width == 300
    assert not any(task.done() for task in large)
    held.release.set()
    assert {(await task).image.height for task in large} == {5000}
    pool.close()


async def test_large_images_wait_until_there_is_memory(held: Held) -> None:
    # Four at a time by its threads, and two by its memory.
    pool = DecodePool(DecodeLimits(threads=8, memory=128 * MIB), ImageLimits())
    large = [asyncio.create_task(pool.decode(large_png())) for _ in range(5)]
    await held.hold(2)
    for _ in range(5):
        await pool.decode(jpeg_bytes())

    assert held.begun == 2
    held.release.set()
    assert len(await asyncio.gather(*large)) == 5
    pool.close()


async def test_memory_is_in_use_until_the_thread_has_finished(held: Held) -> None:
    pool = DecodePool(DecodeLimits(threads=4, memory=64 * MIB), ImageLimits())
    left = asyncio.create_task(pool.decode(large_png()))
    await held.hold(1)
    left.cancel()
    with suppress(asyncio.CancelledError):
        await left

    following = asyncio.create_task(pool.decode(large_png()))
    for _ in range(5):
        await pool.decode(jpeg_bytes())
    assert held.begun == 1
    held.release.set()

    assert (await following).image.height == 5000
    pool.close()


async def test_what_fits_into_no_memory_is_the_senders_to_change() -> None:
    pool = DecodePool(DecodeLimits(threads=1, memory=16 * MIB), ImageLimits())

    with pytest.raises(ImageBoundsError, match=r"4000 x 5000 .* MiB"):
        await pool.decode(large_png())
    pool.close()


async def test_too_many_large_images_are_refused_and_small_ones_are_not(held: Held) -> None:
    pool = DecodePool(DecodeLimits(threads=1, memory=64 * MIB), ImageLimits())
    large = [asyncio.create_task(pool.decode(large_png())) for _ in range(12)]
    await held.hold(1)
    refused, _ = await asyncio.wait(large, return_when=asyncio.FIRST_COMPLETED)

    assert isinstance(refused.pop().exception(), ServiceBusyError)
    await pool.decode(jpeg_bytes())
    held.release.set()
    outcomes = await asyncio.gather(*large, return_exceptions=True)
    assert sum(isinstance(outcome, ServiceBusyError) for outcome in outcomes) == 3
    pool.close()


async def test_the_record_of_a_large_image_has_its_digest_and_its_time_once() -> None:
    times: list[DecodeTimes] = []
    pool = DecodePool(SERVICE, ImageLimits(), times.append)
    record = RequestRecord()

    decoded = await pool.decode(large_png(), record)

    assert record.image_sha256 == decoded.sha256
    assert [step.name for step in record.steps] == ["decode"]
    assert len(times) == 1
    pool.close()


async def test_images_that_share_a_record_keep_their_own_digests(held: Held) -> None:
    pool = DecodePool(SERVICE, ImageLimits(), lambda _times: None)
    record, small = RequestRecord(), jpeg_bytes()

    large = asyncio.create_task(pool.decode(large_png(), record))
    await held.hold(1)
    decoded = await pool.decode(small, record)
    held.release.set()

    assert decoded.sha256 == hashlib.sha256(small).hexdigest()
    assert (await large).sha256 == hashlib.sha256(large_png()).hexdigest()
    pool.close()


async def test_a_large_image_that_is_damaged_has_a_time_too_and_gives_back_its_memory() -> None:
    times: list[DecodeTimes] = []
    pool = DecodePool(DecodeLimits(threads=1, memory=64 * MIB), ImageLimits(), times.append)
    damaged = large_png()[:-40]

    for _ in range(3):
        with pytest.raises(UndecodableImageError):
            await pool.decode(damaged)

    assert len(times) == 3
    assert (await pool.decode(large_png())).image.width == 4000
    pool.close()


@pytest.mark.parametrize("threads", [1, 2, 16, 64])
def test_all_threads_together_stay_within_the_memory(threads: int) -> None:
    limits = DecodeLimits(threads, memory=(288 + 16 * threads) * MIB)

    assert limits.small * threads + limits.large <= limits.memory
    assert limits.small >= 8 * MIB
    assert limits.large >= 288 * MIB


async def test_a_budget_is_given_out_in_order() -> None:
    budget = MemoryBudget(10, 8)
    await budget.acquire(6)
    order: list[int] = []

    async def take(amount: int) -> None:
        await budget.acquire(amount)
        order.append(amount)

    takers = [asyncio.create_task(take(amount)) for amount in (7, 2, 1)]
    await asyncio.sleep(0)
    # The two would fit, and come after the seven all the same.
    assert order == []
    budget.release(6)
    await asyncio.gather(*takers)
    assert order == [7, 2, 1]


async def test_whoever_leaves_the_line_lets_the_next_one_in() -> None:
    budget = MemoryBudget(10, 8)
    await budget.acquire(6)
    first = asyncio.create_task(budget.acquire(7))
    second = asyncio.create_task(budget.acquire(2))
    await asyncio.sleep(0)

    first.cancel()
    await second
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_whoever_leaves_when_the_turn_has_come_gives_it_back() -> None:
    budget = MemoryBudget(10, 8)
    await budget.acquire(10)
    leaving = asyncio.create_task(budget.acquire(10))
    await asyncio.sleep(0)

    budget.release(10)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await budget.acquire(10)
