"""The wall clock is set, forwards and back, while requests are answered."""

import time
import uuid

import pytest

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.settings import Settings
from tests.inference.live_app import running
from tests.models import publish_plain

pytestmark = pytest.mark.anyio

YEAR_S = 365 * 86_400.0


async def test_jumps_of_the_wall_clock_affect_no_prediction_and_no_reload(
    settings: Settings, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_plain(store, 1)
    true_time, true_time_ns = time.time, time.time_ns
    ids: list[uuid.UUID] = []
    async with running(settings) as service:
        # 1970, before it, and beyond what 32 bits of seconds hold.
        for jump_s in (0.0, YEAR_S, -YEAR_S, -true_time(), -true_time() - 1, 200 * YEAR_S):
            monkeypatch.setattr(time, "time", lambda: true_time() + jump_s)  # noqa: B023
            monkeypatch.setattr(
                time,
                "time_ns",
                lambda: true_time_ns() + int(jump_s * 1e9),  # noqa: B023
            )
            answer = await service.predict()
            assert answer.status_code == 200
            ids.append(uuid.UUID(answer.json()["id"]))
            publish_plain(store, 1)
            await service.look()
        assert (await service.predict()).json()["model"]["version"] == "7"
    assert len(set(ids)) == len(ids)
    assert {each.version for each in ids} == {7}
