"""A bounded queue of images that the engine computes in small batches.

While the engine computes a batch, the next one forms, so batches grow with the load and a lone
image does not wait. A batch that is full by then is handed over ahead of time, so that the engine
never waits for a busy event loop. Only the engine runs off the loop.
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
from lentigo_contract.wording import pluralize
from lentigo_engines.base import Images, Prediction
from lentigo_inference.errors import DeadlineExceededError, ServiceBusyError, TooManyImagesError
from lentigo_inference.observability.records import BatchRecord, Step
from lentigo_inference.serving.model_slot import LoadedModel

# Weight of the newest batch: the mean follows a change of load within about ten batches.
_WEIGHT: Final = 0.1

# The batch that the engine computes, and the next one.
_MAX_HANDED_OVER: Final = 2

RunEngine = Callable[[LoadedModel, Sequence[Images]], Awaitable[Prediction]]
"""Runs a model on several uint8 [224, 224, 3]; returns as many rows. At most one more call is made
while it computes, and it computes in the order of the calls."""

_TOO_LATE: Final = (
    "The service is too busy to answer in the time that a request has. Try again after the given "
    "delay."
)


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How batches are formed.

    Attributes:
        max_size: images in a batch.
        max_delay_s: how long an idle engine waits for a batch to fill, from its first image.
        max_queued: images that may wait.
    """

    max_size: int = 8
    max_delay_s: float = 0.0
    max_queued: int = 128

    def sizes(self) -> tuple[int, ...]:
        """Return the possible sizes of a batch: powers of two below the largest, and the largest.

        These are few, because runtimes prepare memory for each size and are warmed up with each.
        """
        powers = (2**power for power in range(self.max_size.bit_length()))
        return (*(size for size in powers if size < self.max_size), self.max_size)


class Throughput:
    """Exponential moving average of the seconds that an image takes. Event loop only."""

    def __init__(self, first_guess_s: float = 0.05) -> None:
        """Start with a guess in seconds for each image, used until the first batch is recorded."""
        self._seconds_per_image = first_guess_s
        self._measured = False

    def record(self, images: int, seconds: float) -> None:
        """Record that so many images took so many seconds."""
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


@dataclass(slots=True, eq=False)
class _Item:
    """An image that waits; `future` is done early if its request no longer waits for it."""

    model: LoadedModel
    pixels: Images
    deadline: float
    joined: float
    note: Callable[[Step], None]
    future: asyncio.Future[Prediction] = field(repr=False)


class Batcher:
    """Hands images to the engine in batches of one model each, first come, first served."""

    def __init__(
        self,
        run: RunEngine,
        limits: BatchLimits,
        throughput: Throughput,
        *,
        observe: Callable[[BatchRecord], None] = lambda _record: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare a batcher.

        Args:
            run: runs the engine.
            limits: how batches are formed.
            throughput: records how fast images are computed, and estimates waiting times.
            observe: called with the record of every batch.
            clock: monotonic seconds; deadlines are its readings.
        """
        self._run = run
        self._limits = limits
        self._sizes = limits.sizes()
        self._throughput = throughput
        self._observe = observe
        self._clock = clock
        self._queue: deque[_Item] = deque()
        # Batches handed to the engine, in order; it computes the first.
        self._handed: dict[asyncio.Task[None], list[_Item]] = {}
        self._engine_free_at = clock()
        # Set when a full batch waits, or the engine has finished one.
        self._wake = asyncio.Event()
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
        """Compute the images of one request with one model.

        The caller holds a lease on the model until this returns. If the caller is cancelled, its
        waiting images leave the queue.

        Args:
            model: computes all images.
            images: uint8 [224, 224, 3] each.
            deadline: reading of the clock after which the prediction is of no use.
            note: called with the steps of each image: waiting and computing.

        Returns:
            One prediction for each image, with n = 1.

        Raises:
            TooManyImagesError: the queue never has room for all of them.
            ServiceBusyError: it has none now.
            DeadlineExceededError: the deadline passed before the engine was free.
            EngineError: the runtime failed on one of the images.
        """
        if len(images) > self._limits.max_queued:
            raise TooManyImagesError(
                f"The request has {pluralize(len(images), 'image')}, and only "
                f"{self._limits.max_queued} may wait for the model. Send fewer at a time."
            )
        if self.queued + len(images) > self._limits.max_queued:
            self._drop_expired()
        if self.queued + len(images) > self._limits.max_queued:
            raise ServiceBusyError(
                f"{pluralize(self.queued, 'image waits', 'images wait')} for the model, and the "
                "queue takes no more. Try again after the given delay.",
                self._throughput.seconds_for(self.queued),
            )
        loop = asyncio.get_running_loop()
        now = self._clock()
        items = [_Item(model, each, deadline, now, note, loop.create_future()) for each in images]
        self._queue.extend(items)
        if len(self._queue) >= self._limits.max_size:
            self._wake.set()
        if self._worker is None:
            self._worker = loop.create_task(self._work(), name="lentigo-batcher")
        try:
            return await asyncio.gather(*(item.future for item in items))
        finally:
            for item in items:
                item.future.cancel()

    async def _work(self) -> None:
        """Hand over batches until the queue is empty."""
        try:
            while self._queue or self._handed:
                if not self._can_hand_over():
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                await self._gather()
                batch = self._next_batch()
                if batch:
                    self._hand_over(batch)
        finally:
            self._worker = None
            # Only a worker that was cancelled, when the loop closes, leaves any.
            for task in self._handed:
                task.cancel()
            for item in self._queue:
                item.future.cancel()
            self._queue.clear()

    def _can_hand_over(self) -> bool:
        """Return whether the engine is idle, or has only one batch while another is full."""
        if not self._handed:
            return bool(self._queue)
        return len(self._handed) < _MAX_HANDED_OVER and len(self._queue) >= self._limits.max_size

    def _hand_over(self, batch: list[_Item]) -> None:
        task = asyncio.get_running_loop().create_task(self._compute(batch))
        self._handed[task] = batch
        task.add_done_callback(self._on_computed)

    def _on_computed(self, task: asyncio.Task[None]) -> None:
        del self._handed[task]
        self._wake.set()

    async def _gather(self) -> None:
        """Wait until the next batch is full, but no longer than its first image may wait."""
        remaining_s = self._queue[0].joined + self._limits.max_delay_s - self._clock()
        if remaining_s <= 0:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(remaining_s):
                while len(self._queue) < self._limits.max_size:
                    self._wake.clear()
                    await self._wake.wait()

    def _next_batch(self) -> list[_Item]:
        """Take the oldest image and others of the same model, up to the size of a batch."""
        self._drop_expired()
        if not self._queue:
            return []
        model = self._queue[0].model
        same_model = [item for item in self._queue if item.model is model]
        size = max(size for size in self._sizes if size <= len(same_model))
        batch = same_model[:size]
        taken = set(map(id, batch))
        self._queue = deque(item for item in self._queue if id(item) not in taken)
        return batch

    def _drop_expired(self) -> None:
        """Drop images whose request no longer waits, or whose deadline has passed."""
        now = self._clock()
        for item in self._queue:
            if item.deadline <= now and not item.future.done():
                wait = self._throughput.seconds_for(len(self._queue))
                item.future.set_exception(DeadlineExceededError(_TOO_LATE, wait))
        self._queue = deque(item for item in self._queue if not item.future.done())

    async def _compute(self, batch: list[_Item]) -> None:
        """Run a batch; if it fails, run its images one by one, so that only the bad one fails."""
        handed = self._clock()
        try:
            prediction = await self._run(batch[0].model, [item.pixels for item in batch])
            rows = _rows(prediction, len(batch))
        except Exception as error:  # noqa: BLE001 - any error concerns this batch only
            if len(batch) == 1:
                _settle(batch[0], error)
                return
            for item in batch:
                if not item.future.done():
                    await self._compute([item])
            return
        # A batch handed over ahead of time started when the one before it ended.
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
    """Split the prediction of a batch into copies of its rows, so that none keeps others alive."""
    lengths = tuple(map(len, prediction.tensors))
    if set(lengths) != {count}:
        raise EngineError(f"The model returned {lengths} rows for {pluralize(count, 'image')}.")
    return [
        Prediction(*(np.copy(values[place : place + 1]) for values in prediction.tensors))
        for place in range(count)
    ]


def _settle(item: _Item, outcome: Prediction | Exception) -> None:
    if item.future.done():
        return
    if isinstance(outcome, Exception):
        item.future.set_exception(outcome)
    else:
        item.future.set_result(outcome)
