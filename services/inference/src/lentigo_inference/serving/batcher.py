"""A bounded queue of images that leave in small batches.

While the engine computes a batch, the next one gathers: under load batches grow by themselves, and
a lone image waits for nobody. A batch that is full by then is handed over ahead, so that the engine
never waits for an event loop that is busy. Everything here runs on the loop but the engine.

How fast images are answered, measured while they are.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from lentigo_contract.errors import EngineError
from lentigo_inference.engines.base import Images, Prediction
from lentigo_inference.errors import DeadlineExceededError, ServiceBusyError
from lentigo_inference.observability.records import BatchRecord, Step
from lentigo_inference.serving.model_slot import LoadedModel

# Weight of the newest batch: the mean follows a change of load within some ten batches.
_WEIGHT: Final = 0.1


class Throughput:
    """A moving mean of seconds an image takes while there is work. Used on the event loop alone."""

    def __init__(self, first_guess_s: float = 0.05) -> None:
        """Start with a guess, in seconds an image, that holds until something was measured."""
        self._seconds_per_image = first_guess_s
        self._measured = False

    def record(self, images: int, seconds: float) -> None:
        """Learn that so many images took so long, from one answer to the next."""
        if images < 1 or seconds < 0:
            return
        newest = seconds / images
        if not self._measured:
            self._seconds_per_image = newest
            self._measured = True
        else:
            self._seconds_per_image += _WEIGHT * (newest - self._seconds_per_image)

    def seconds_for(self, images: int) -> float:
        """Estimate how long so many images take."""
        return images * self._seconds_per_image


# One that the engine computes, and one for the moment it is done.
_HANDED_OVER: Final = 2

RunEngine = Callable[[LoadedModel, Sequence[Images]], Awaitable[Prediction]]
"""Runs a model on several uint8 [224, 224, 3], and gives as many rows. It is called once more while
it computes, at most, and computes in the order of the calls."""

_TOO_LATE: Final = (
    "The service is too busy to answer in the time that a request has. Try again after the given "
    "delay."
)


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How batches are formed.

    Attributes:
        max_size: images in a batch.
        max_delay_s: how long an idle engine waits for a batch to fill, from the first image on.
        max_queued: images that may wait.
    """

    max_size: int = 8
    max_delay_s: float = 0.0
    max_queued: int = 128

    def sizes(self) -> tuple[int, ...]:
        """Give the sizes that batches have: powers of two below the largest, and the largest.

        Few sizes, because runtimes prepare memory for each and are warmed up with each.
        """
        powers = (2**power for power in range(self.max_size.bit_length()))
        return (*(size for size in powers if size < self.max_size), self.max_size)


@dataclass(slots=True, eq=False)
class _Item:
    """An image that waits; `answer` is done early if nobody waits for it any more."""

    model: LoadedModel
    pixels: Images
    deadline: float
    joined: float
    note: Callable[[Step], None]
    answer: asyncio.Future[Prediction] = field(repr=False)


class Batcher:
    """Gives images to the engine in batches of one model each, in the order they came."""

    def __init__(
        self,
        run: RunEngine,
        limits: BatchLimits,
        throughput: Throughput,
        *,
        observe: Callable[[BatchRecord], None] = lambda _record: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare.

        Args:
            run: the engine.
            limits: how batches are formed.
            throughput: told how fast it goes, asked how long a full queue takes.
            observe: told of every batch.
            clock: seconds that never jump; deadlines are its readings.
        """
        self._run = run
        self._limits = limits
        self._sizes = limits.sizes()
        self._throughput = throughput
        self._observe = observe
        self._clock = clock
        self._queue: deque[_Item] = deque()
        # What the engine was given, in order; it computes the first.
        self._handed: dict[asyncio.Task[None], list[_Item]] = {}
        self._engine_free_at = clock()
        # A batch's worth waits, or the engine has done one.
        self._news = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    @property
    def limits(self) -> BatchLimits:
        """How batches are formed."""
        return self._limits

    @property
    def queued(self) -> int:
        """Images that wait for the engine."""
        return len(self._queue) + sum(len(batch) for batch in list(self._handed.values())[1:])

    async def predict(
        self,
        model: LoadedModel,
        images: Sequence[Images],
        deadline: float,
        note: Callable[[Step], None] = lambda _step: None,
    ) -> list[Prediction]:
        """Have images of one request computed by one model; n is 1 in each answer.

        The caller holds a lease on the model until this returns. A caller that is cancelled takes
        what still waits out of the queue.

        Args:
            model: computes all of them.
            images: uint8 [224, 224, 3] each.
            deadline: reading of the clock from which on the answer is of no use.
            note: told how long each of them waited and was computed.

        Raises:
            ServiceBusyError: the queue has no room for all of them.
            DeadlineExceededError: the deadline passed before the engine was free.
            EngineError: the runtime failed on one of them.
        """
        if self.queued + len(images) > self._limits.max_queued:
            self._drop_dead()
        if self.queued + len(images) > self._limits.max_queued:
            raise ServiceBusyError(
                f"{self.queued} images wait for the model, and the queue takes no more. Try again "
                "after the given delay.",
                self._throughput.seconds_for(self.queued),
            )
        loop = asyncio.get_running_loop()
        now = self._clock()
        items = [_Item(model, each, deadline, now, note, loop.create_future()) for each in images]
        self._queue.extend(items)
        if len(self._queue) >= self._limits.max_size:
            self._news.set()
        if self._worker is None:
            self._worker = loop.create_task(self._work(), name="lentigo-batcher")
        try:
            return await asyncio.gather(*(item.answer for item in items))
        finally:
            for item in items:
                item.answer.cancel()

    async def _work(self) -> None:
        """Empty the queue, batch by batch."""
        try:
            while self._queue or self._handed:
                if not self._may_hand_over():
                    self._news.clear()
                    await self._news.wait()
                    continue
                await self._gather()
                batch = self._next_batch()
                if batch:
                    self._hand_over(batch)
        finally:
            self._worker = None
            # Only a cancelled worker leaves any, when the loop is being closed.
            for task in self._handed:
                task.cancel()
            for item in self._queue:
                item.answer.cancel()
            self._queue.clear()

    def _may_hand_over(self) -> bool:
        """Tell whether a batch should go now: the engine is free, or almost, and one is full."""
        if not self._handed:
            return bool(self._queue)
        return len(self._handed) < _HANDED_OVER and len(self._queue) >= self._limits.max_size

    def _hand_over(self, batch: list[_Item]) -> None:
        task = asyncio.get_running_loop().create_task(self._compute(batch))
        self._handed[task] = batch
        task.add_done_callback(self._on_computed)

    def _on_computed(self, task: asyncio.Task[None]) -> None:
        del self._handed[task]
        self._news.set()

    async def _gather(self) -> None:
        """Wait until the next batch is full, but not longer than its first image may wait."""
        patience = self._queue[0].joined + self._limits.max_delay_s - self._clock()
        if patience <= 0:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while len(self._queue) < self._limits.max_size:
                    self._news.clear()
                    await self._news.wait()

    def _next_batch(self) -> list[_Item]:
        """Take the oldest image and others of the same model, as many as a batch may have."""
        self._drop_dead()
        if not self._queue:
            return []
        model = self._queue[0].model
        alike = [item for item in self._queue if item.model is model]
        size = max(size for size in self._sizes if size <= len(alike))
        batch = alike[:size]
        taken = set(map(id, batch))
        self._queue = deque(item for item in self._queue if id(item) not in taken)
        return batch

    def _drop_dead(self) -> None:
        """Let go of images that nobody waits for, or whose time is over."""
        now = self._clock()
        for item in self._queue:
            if item.deadline <= now and not item.answer.done():
                wait = self._throughput.seconds_for(len(self._queue))
                item.answer.set_exception(DeadlineExceededError(_TOO_LATE, wait))
        self._queue = deque(item for item in self._queue if not item.answer.done())

    async def _compute(self, batch: list[_Item]) -> None:
        """Run one batch; if it fails, its members one by one, so that only the culprit fails."""
        handed = self._clock()
        try:
            prediction = await self._run(batch[0].model, [item.pixels for item in batch])
            rows = _rows(prediction, len(batch))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this batch's alone
            if len(batch) == 1:
                _settle(batch[0], error)
                return
            for item in batch:
                if not item.answer.done():
                    await self._compute([item])
            return
        # What was handed over ahead began when the one before it ended.
        started = max(handed, self._engine_free_at)
        self._engine_free_at = self._clock()
        took = self._engine_free_at - started
        self._throughput.record(len(batch), took)
        computed = Step("inference", started, started + took, len(batch))
        for item, row in zip(batch, rows, strict=True):
            item.note(Step("queue", item.joined, started))
            item.note(computed)
            _settle(item, row)
        waited = tuple(started - item.joined for item in batch)
        self._observe(BatchRecord(batch[0].model.version, len(batch), waited, took))


def _rows(prediction: Prediction, count: int) -> list[Prediction]:
    """Take a batch's answer apart; each row is a copy, so none holds the others in memory."""
    given = tuple(map(len, prediction.tensors))
    if set(given) != {count}:
        raise EngineError(f"The model gave answers for {given} images; {count} were asked for.")
    return [
        Prediction(*(np.copy(values[place : place + 1]) for values in prediction.tensors))
        for place in range(count)
    ]


def _settle(item: _Item, outcome: Prediction | Exception) -> None:
    if item.answer.done():
        return
    if isinstance(outcome, Exception):
        item.answer.set_exception(outcome)
    else:
        item.answer.set_result(outcome)
