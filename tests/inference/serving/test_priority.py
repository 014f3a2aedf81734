"""While the machine is busy, the thread that answers comes first."""

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from lentigo_contract.imaging.read import ImageLimits, OpenedImage, open_image
from lentigo_contract.repository.store import ModelStore, StoredVersion
from lentigo_contract.system.priority import at_low_priority
from lentigo_engines.base import Engine, Images, Prediction
from lentigo_inference.engines.selection import engine_loader
from lentigo_inference.serving import decoding
from lentigo_inference.settings import Settings
from tests.inference.live_app import running
from tests.models import PlainEngine, SavedModels, publish_plain

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux has priorities of threads"
)

NICENESS = 3
TASKS = Path("/proc/self/task")


def niceness(thread: int | None = None) -> int:
    return os.getpriority(os.PRIO_PROCESS, thread or threading.get_native_id())


def lowered(by: int) -> int:
    """What a thread comes to; 19 is the lowest priority there is."""
    return min(19, niceness(os.getpid()) + by)


@pytest.mark.anyio
async def test_whatever_loads_computes_and_decodes_yields_to_the_event_loop(
    settings: Settings, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: dict[str, int] = {}

    class Noting(PlainEngine):
        def predict(self, images: Images) -> Prediction:
            found["computes"] = niceness()
            return super().predict(images)

    def load(_stored: StoredVersion) -> Engine:
        found["loads"] = niceness()
        return Noting(1)

    def noted(data: bytes, limits: ImageLimits) -> OpenedImage:
        found["decodes"] = niceness()
        return open_image(data, limits)

    monkeypatch.setattr(decoding, "open_image", noted)
    publish_plain(store, 1)
    before = niceness()
    yielding = settings.model_copy(update={"worker_niceness": NICENESS})
    async with running(yielding, load) as service:
        assert (await service.predict()).status_code == 200
    assert niceness() == before
    assert found == dict.fromkeys(("loads", "computes", "decodes"), lowered(NICENESS))


def test_threads_of_the_runtime_yield_as_well(store: ModelStore, saved_models: SavedModels) -> None:
    stored = saved_models.publish(store, seed=1, litert=True)
    load = engine_loader(4, "litert")
    before = set(TASKS.iterdir())

    engine = at_low_priority(lambda: load(stored), NICENESS)
    started = set(TASKS.iterdir()) - before
    found = set()
    for thread in started:
        # The one that loaded may just have ended.
        with suppress(ProcessLookupError):
            found.add(niceness(int(thread.name)))
    engine.close()

    assert found == {lowered(NICENESS)}
