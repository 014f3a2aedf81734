"""Clients that leave, and requests whose time is over."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from lentigo_contract.repository.store import ModelStore
from lentigo_engines.base import Images, Prediction
from lentigo_inference.api.requests.disconnect import cancel_on_disconnect
from lentigo_inference.serving.batcher import BatchLimits
from lentigo_inference.settings import Settings
from tests.inference.live_app import problem_of, running
from tests.models import PlainEngine, publish_plain

pytestmark = pytest.mark.anyio

DEADLINE_S = 60


class Client:
    """Stays until it is told to leave."""

    def __init__(self) -> None:
        self.leave = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.leave.wait()
        return {"type": "http.disconnect"}

    def request(self) -> Request:
        return Request({"type": "http", "method": "POST", "headers": []}, self.receive)


async def test_work_completes_while_the_client_stays_connected() -> None:
    async def work() -> str:
        return "done"

    assert await cancel_on_disconnect(Client().request(), work()) == "done"


async def test_an_error_of_the_work_is_raised_unchanged() -> None:
    async def work() -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await cancel_on_disconnect(Client().request(), work())


@pytest.mark.parametrize("how", ["leaves", "is cut off"])
async def test_work_is_cancelled_when_the_client_disconnects(how: str) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    client = Client()
    task = asyncio.get_running_loop().create_task(cancel_on_disconnect(client.request(), work()))
    await begun.wait()
    if how == "leaves":
        client.leave.set()
        with pytest.raises(ClientDisconnect):
            await task
    else:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert cancelled.is_set()


class HeldEngine(PlainEngine):
    """Lets its warm-up pass, and holds every request."""

    def __init__(self) -> None:
        super().__init__(1)
        self.opened = threading.Event()
        self.warm_ups = len(BatchLimits().sizes())

    def predict(self, images: Images) -> Prediction:
        self.warm_ups -= 1
        if self.warm_ups < 0:
            assert self.opened.wait(DEADLINE_S)
        return super().predict(images)


@pytest.fixture
def engine() -> Iterator[HeldEngine]:
    engine = HeldEngine()
    yield engine
    engine.opened.set()


async def test_a_request_is_answered_when_its_time_is_over_whatever_the_engine_does(
    settings: Settings, store: ModelStore, engine: HeldEngine
) -> None:
    publish_plain(store, 1)
    hasty = settings.model_copy(update={"request_timeout_s": 0.05})
    async with running(hasty, lambda _stored: engine) as service:
        late = await service.predict()
        assert late.status_code == 503
        assert int(late.headers["retry-after"]) >= 1
        assert problem_of(late)["type"].endswith("deadline-exceeded")
        assert service.state.admission.under_way == 0
        engine.opened.set()
