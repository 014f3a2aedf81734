"""All uploads together have a bound of memory, and no key fills it alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.errors import RateLimitedError, ServiceBusyError
from lentigo_inference.security.api_keys import Scope, add_key, make_key
from lentigo_inference.serving.limits.upload_memory import UploadMemory
from lentigo_inference.settings import Settings
from tests.inference.live_app import PREDICTIONS, Running, problem_of, running
from tests.inference.network import DEADLINE_S
from tests.models import publish_plain

pytestmark = pytest.mark.anyio

MEMORY = 400_000
"""A prediction of `Running.predict` has far fewer bytes, and eight unfinished ones fill it."""


@pytest.fixture
def narrow(settings: Settings, store: ModelStore) -> Settings:
    publish_plain(store, 1)
    return settings.model_copy(update={"upload_memory": MEMORY})


@asynccontextmanager
async def unfinished(
    service: Running, sizes: list[int], headers: dict[str, str] | None = None
) -> AsyncIterator[list[int]]:
    """Uploads of which so many bytes have arrived or were refused; gives what was refused."""
    go_on, settled = asyncio.Event(), asyncio.Event()
    refused: list[int] = []
    arrived = 0

    def settle() -> None:
        if arrived + len(refused) == len(sizes):
            settled.set()

    async def body(size: int) -> AsyncIterator[bytes]:
        nonlocal arrived
        yield bytes(size)
        # The service has taken it, and asks for more.
        arrived += 1
        settle()
        await go_on.wait()

    async def send(size: int) -> None:
        answer = await service.client.post(
            PREDICTIONS,
            content=body(size),
            headers={"Content-Type": "image/jpeg", **(headers or {})},
        )
        if not go_on.is_set():
            refused.append(answer.status_code)
            settle()

    async with asyncio.TaskGroup() as sending:
        for size in sizes:
            sending.create_task(send(size))
        try:
            async with asyncio.timeout(DEADLINE_S):
                await settled.wait()
            yield refused
        finally:
            go_on.set()


@pytest.mark.parametrize("path", [PREDICTIONS, PREDICTIONS + ":batch", "/v2/models/lentigo/infer"])
async def test_an_upload_that_does_not_fit_beside_the_others_is_refused_with_a_delay(
    narrow: Settings, path: str
) -> None:
    async with running(narrow) as service:
        with service.state.upload_memory.body() as hold:
            hold(MEMORY)
            refused = await service.client.post(path, files={"image": b"\xff\xd8"})
        after = await service.predict()
        assert service.state.upload_memory.held == 0
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert problem_of(refused)["type"] == "urn:lentigo:problem:busy"
    assert "400,000 bytes together" in problem_of(refused)["detail"]
    assert after.status_code == 200


async def test_slow_uploads_hold_what_has_arrived_and_no_more_than_there_is(
    narrow: Settings,
) -> None:
    async with running(narrow) as service:
        async with unfinished(service, [90_000] * 8) as refused:
            assert refused == [503] * 4
            assert service.state.upload_memory.held == 360_000
        assert service.state.upload_memory.held == 0
        assert (await service.predict()).status_code == 200


async def test_a_declared_length_takes_nothing_before_its_bytes_arrive(narrow: Settings) -> None:
    async with running(narrow) as service, unfinished(service, [1] * 60):
        assert service.state.upload_memory.held == 60
        assert (await service.predict()).status_code == 200


async def test_a_key_with_large_uploads_leaves_memory_for_another(
    narrow: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    keys = {}
    for name in ("hog", "ward"):
        record, keys[name] = make_key(name, frozenset({Scope.PREDICT}))
        add_key(file, record)
    hog, ward = ({"Authorization": f"Bearer {key}"} for key in keys.values())
    guarded = narrow.model_copy(update={"key_file": file})
    async with (
        running(guarded) as service,
        unfinished(service, [60_000] * 8, hog) as refused,
    ):
        assert refused == [429] * 3
        assert service.state.upload_memory.held == 300_000
        assert (await service.predict(headers=ward)).status_code == 200


async def test_what_a_refused_upload_had_is_given_back() -> None:
    memory = UploadMemory(100)
    with memory.body("ward") as hold:
        hold(60)
        with pytest.raises(ServiceBusyError):
            hold(60)
        assert memory.held == 60
    assert memory.held == 0


async def test_a_key_alone_may_send_one_upload_as_large_as_the_memory() -> None:
    memory = UploadMemory(100)
    with memory.body("ward") as hold:
        for _ in range(10):
            hold(10)
        assert memory.held == 100


async def test_keys_that_take_what_they_get_always_leave_something() -> None:
    memory = UploadMemory(64)
    with ExitStack() as stack:
        for key, expected in (("a", 48), ("b", 12), ("c", 3)):
            got = 0
            with suppress(RateLimitedError, ServiceBusyError):
                while True:
                    stack.enter_context(memory.body(key))(1)
                    got += 1
            assert got == expected
        assert memory.held == 63
    assert memory.held == 0
