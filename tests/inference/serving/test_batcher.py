"""The batcher with an engine that waits for the test, and a clock that the test sets."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from lentigo_contract.errors import EngineError
from lentigo_contract.repository.store import ModelStore
from lentigo_engines.base import Images, Prediction
from lentigo_inference.errors import DeadlineExceededError, ServiceBusyError
from lentigo_inference.observability.records import BatchRecord
from lentigo_inference.serving.batcher import Batcher, BatchLimits, Throughput
from lentigo_inference.serving.model_slot import LoadedModel
from tests.models import PlainEngine, expected, loaded, publish_plain

pytestmark = pytest.mark.anyio

DEADLINE_S = 30
POISON = 255


def image(shade: int) -> Images:
    return np.full((224, 224, 3), shade, np.uint8)


@dataclass
class HeldEngine:
    """Notes what it is asked for, and answers when it may; a white image is more than it bears."""

    calls: list[tuple[int, list[int]]] = field(default_factory=list)
    free: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    error: type[Exception] = EngineError

    async def __call__(self, model: LoadedModel, images: Sequence[Images]) -> Prediction:
        self.calls.append((model.version, [int(each[0, 0, 0]) for each in images]))
        self.asked.set()
        await self.free.wait()
        if any(each[0, 0, 0] == POISON for each in images):
            raise self.error("The runtime failed.")
        return model.engine.predict(np.stack(images))


class SetClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Bench:
    engine: HeldEngine
    clock: SetClock
    batcher: Batcher
    model: LoadedModel
    records: list[BatchRecord]

    def ask(
        self, *shades: int, model: LoadedModel | None = None, within_s: float = 10
    ) -> asyncio.Task[list[Prediction]]:
        images = [image(shade) for shade in shades]
        deadline = self.clock() + within_s
        asked = self.batcher.predict(model or self.model, images, deadline)
        return asyncio.get_running_loop().create_task(asked)

    async def occupy(self) -> asyncio.Task[list[Prediction]]:
        """Have the engine busy with one image."""
        first = self.ask(0)
        await self.engine.asked.wait()
        return first


MakeBench = Callable[..., Awaitable[Bench]]


@pytest.fixture
def make_bench(store: ModelStore) -> MakeBench:
    async def make(**limits: float) -> Bench:
        engine, clock, records = HeldEngine(), SetClock(), list[BatchRecord]()
        batcher = Batcher(
            engine,
            BatchLimits(**limits),  # type: ignore[arg-type]
            Throughput(),
            observe=records.append,
            clock=clock,
        )
        model = loaded(publish_plain(store, 1), PlainEngine(1))
        return Bench(engine, clock, batcher, model, records)

    return make


async def queued(bench: Bench, count: int) -> None:
    """Let the requests that were begun join the queue."""
    for _ in range(1000):
        if bench.batcher.queued == count:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"{bench.batcher.queued} in the queue, not {count}")


def assert_answers(answer: Prediction, shade: int, seed: int = 1) -> None:
    truth = expected(image(shade)[None], seed)
    np.testing.assert_allclose(answer.probabilities, truth.probabilities, atol=1e-6)
    np.testing.assert_allclose(answer.activation_map, truth.activation_map, atol=1e-5)


async def test_a_lone_image_does_not_wait(make_bench: MakeBench) -> None:
    bench = await make_bench()
    bench.engine.free.set()
    (answer,) = await bench.ask(7)
    assert_answers(answer, 7)
    assert bench.engine.calls == [(1, [7])]


async def test_images_that_arrive_while_the_engine_is_busy_form_a_batch(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench()
    first = await bench.occupy()
    others = [bench.ask(shade) for shade in (1, 2, 3, 4)]
    await queued(bench, 4)
    bench.engine.free.set()
    for shade, task in enumerate([first, *others]):
        (answer,) = await task
        assert_answers(answer, shade)
    assert bench.engine.calls == [(1, [0]), (1, [1, 2, 3, 4])]
    assert [record.size for record in bench.records] == [1, 4]


async def test_a_full_batch_is_handed_over_before_the_engine_is_free_and_still_waits(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench(max_size=2, max_queued=5)
    first = await bench.occupy()
    others = [bench.ask(shade) for shade in (1, 2, 3, 4, 5)]
    await queued(bench, 5)
    for _ in range(10):
        await asyncio.sleep(0)
    assert bench.engine.calls == [(1, [0]), (1, [1, 2])]
    assert bench.batcher.queued == 5
    with pytest.raises(ServiceBusyError, match="5 images wait"):
        await bench.ask(6)
    bench.engine.free.set()
    await asyncio.gather(first, *others)
    assert bench.engine.calls[2:] == [(1, [3, 4]), (1, [5])]


async def test_the_time_of_a_batch_begins_when_the_one_before_it_ends(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench(max_size=1)
    first = await bench.occupy()
    second = bench.ask(1)
    await queued(bench, 1)
    bench.clock.now += 3
    bench.engine.free.set()
    await asyncio.gather(first, second)
    assert [record.engine_s for record in bench.records] == [3, 0]
    assert [record.waited_s for record in bench.records] == [(0,), (3,)]


async def test_batches_have_only_the_sizes_that_were_warmed_up(make_bench: MakeBench) -> None:
    bench = await make_bench(max_size=6)
    first = await bench.occupy()
    others = [bench.ask(shade) for shade in range(1, 14)]
    await queued(bench, 13)
    bench.engine.free.set()
    await asyncio.gather(first, *others)
    sizes = [len(shades) for _, shades in bench.engine.calls]
    assert sizes == [1, 6, 6, 1]
    assert set(sizes) <= set(BatchLimits(max_size=6).sizes()) == {1, 2, 4, 6}


async def test_an_idle_engine_waits_for_a_full_batch_no_longer_than_allowed(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench(max_size=2, max_delay_s=1000.0)
    bench.engine.free.set()
    first = bench.ask(1)
    await queued(bench, 1)
    assert not bench.engine.asked.is_set()
    second = bench.ask(2)
    await asyncio.wait_for(asyncio.gather(first, second), DEADLINE_S)
    assert bench.engine.calls == [(1, [1, 2])]


async def test_a_batch_that_does_not_fill_leaves_when_its_first_image_waited_enough(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench(max_size=8, max_delay_s=0.001)
    bench.engine.free.set()
    await asyncio.wait_for(bench.ask(1), DEADLINE_S)
    assert bench.engine.calls == [(1, [1])]


async def test_a_full_queue_refuses_at_once_with_a_delay(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench(max_queued=3)
    first = await bench.occupy()
    waiting = [bench.ask(shade) for shade in (1, 2)]
    await queued(bench, 2)
    with pytest.raises(ServiceBusyError, match="2 images wait") as refused:
        await bench.ask(3, 4)
    assert refused.value.retry_after_s > 0
    last = bench.ask(3)
    await queued(bench, 3)
    bench.engine.free.set()
    await asyncio.gather(first, *waiting, last)


async def test_the_delay_follows_the_measured_throughput() -> None:
    throughput = Throughput(first_guess_s=9)
    throughput.record(4, 2.0)
    assert throughput.seconds_for(10) == pytest.approx(5)
    for _ in range(100):
        throughput.record(1, 0.1)
    assert throughput.seconds_for(10) == pytest.approx(1, rel=0.01)


async def test_a_cancelled_image_costs_no_inference(make_bench: MakeBench) -> None:
    bench = await make_bench()
    first = await bench.occupy()
    stays, leaves = bench.ask(1), bench.ask(2)
    await queued(bench, 2)
    leaves.cancel()
    await asyncio.wait([leaves])
    bench.engine.free.set()
    await asyncio.gather(first, stays)
    assert leaves.cancelled()
    assert bench.engine.calls == [(1, [0]), (1, [1])]


async def test_an_image_past_its_deadline_fails_and_costs_no_inference(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench()
    first = await bench.occupy()
    late, timely = bench.ask(1, within_s=5), bench.ask(2, within_s=50)
    await queued(bench, 2)
    bench.clock.now += 6
    bench.engine.free.set()
    with pytest.raises(DeadlineExceededError):
        await late
    await asyncio.gather(first, timely)
    assert bench.engine.calls == [(1, [0]), (1, [2])]


async def test_expired_images_make_room_in_a_full_queue(make_bench: MakeBench) -> None:
    bench = await make_bench(max_queued=2)
    first = await bench.occupy()
    dead = [bench.ask(1, within_s=1), bench.ask(2, within_s=1)]
    await queued(bench, 2)
    bench.clock.now += 2
    alive = bench.ask(3)
    await asyncio.wait(dead)
    bench.engine.free.set()
    await asyncio.gather(first, alive)
    assert all(isinstance(task.exception(), DeadlineExceededError) for task in dead)


@pytest.mark.parametrize("error", [EngineError, ValueError, MemoryError])
async def test_an_image_that_fails_does_not_fail_its_batch(
    make_bench: MakeBench, error: type[Exception]
) -> None:
    bench = await make_bench()
    bench.engine.error = error
    first = await bench.occupy()
    others = [bench.ask(shade) for shade in (1, POISON, 3, 4)]
    await queued(bench, 4)
    bench.engine.free.set()
    outcomes = await asyncio.gather(first, *others, return_exceptions=True)
    for shade, outcome in zip((0, 1, 3, 4), [*outcomes[:2], *outcomes[3:]], strict=True):
        assert not isinstance(outcome, BaseException)
        assert_answers(outcome[0], shade)
    assert isinstance(outcomes[2], error)


async def test_cancelled_failed_and_good_images_of_a_batch_are_independent(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench()
    first = await bench.occupy()
    good, poison, left, late, pair = (
        bench.ask(1),
        bench.ask(POISON),
        bench.ask(3),
        bench.ask(4, within_s=1),
        bench.ask(5, 6),
    )
    await queued(bench, 6)
    left.cancel()
    bench.clock.now += 2
    bench.engine.free.set()
    outcomes = await asyncio.gather(first, good, poison, left, late, pair, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [
        list,
        list,
        EngineError,
        asyncio.CancelledError,
        DeadlineExceededError,
        list,
    ]
    assert_answers((await good)[0], 1)
    for answer, shade in zip(await pair, (5, 6), strict=True):
        assert_answers(answer, shade)


async def test_a_batch_never_mixes_models(make_bench: MakeBench, store: ModelStore) -> None:
    bench = await make_bench()
    newer = loaded(publish_plain(store, 2), PlainEngine(2))
    first = await bench.occupy()
    asked = [bench.ask(shade, model=newer if shade % 2 else None) for shade in (1, 2, 3, 4)]
    await queued(bench, 4)
    bench.engine.free.set()
    await first
    for shade, task in zip((1, 2, 3, 4), asked, strict=True):
        (answer,) = await task
        assert_answers(answer, shade, seed=2 if shade % 2 else 1)
    assert bench.engine.calls == [(1, [0]), (2, [1, 3]), (1, [2, 4])]


async def test_a_prediction_for_another_number_of_images_is_an_error(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench()

    async def one_too_few(model: LoadedModel, images: Sequence[Images]) -> Prediction:
        return model.engine.predict(np.stack(images)[1:])

    batcher = Batcher(one_too_few, BatchLimits(), Throughput(), clock=bench.clock)
    with pytest.raises(EngineError, match="rows for 1 image"):
        await batcher.predict(bench.model, [image(1)], bench.clock() + 1)


async def test_the_queue_goes_on_after_any_failure(make_bench: MakeBench) -> None:
    bench = await make_bench()
    bench.engine.free.set()
    with pytest.raises(EngineError):
        await bench.ask(POISON)
    (answer,) = await bench.ask(5)
    assert_answers(answer, 5)
    assert bench.batcher.queued == 0
