"""What becomes of requests while as many predictions as allowed are under way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest
import structlog

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.errors import RateLimitedError, ServiceBusyError
from lentigo_inference.observability.records import RequestRecord
from lentigo_inference.security.api_keys import (
    KeyLimits,
    Scope,
    add_key,
    make_key,
    remove_key,
)
from lentigo_inference.security.authenticator import Authenticator
from lentigo_inference.server.request_log import RefusalLog
from lentigo_inference.serving.limits.admission import Admission
from lentigo_inference.settings import Settings
from tests.inference.live_app import PREDICTIONS, problem_of, running
from tests.inference.network import DEADLINE_S
from tests.inference.security.old_key_file import SCHEMA_1, SCHEMA_1_KEY
from tests.models import publish_plain

pytestmark = pytest.mark.anyio


@pytest.fixture
def narrow(settings: Settings, store: ModelStore) -> Settings:
    publish_plain(store, 1)
    return settings.model_copy(update={"max_pending": 1})


@pytest.mark.parametrize(
    "path",
    [
        PREDICTIONS,
        PREDICTIONS + ":batch",
        "/v2/models/lentigo/infer",
        "/v2/models/lentigo/versions/1/infer",
    ],
)
async def test_every_way_to_a_prediction_is_refused_with_a_delay(
    narrow: Settings, path: str
) -> None:
    async with running(narrow) as service:
        with service.state.admission.enter():
            refused = await service.client.post(path, headers={"X-Request-ID": "r1"})
        after = await service.predict()
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.headers["cache-control"] == "no-store"
    assert refused.headers["x-request-id"] == "r1"
    assert problem_of(refused)["type"] == "urn:lentigo:problem:busy"
    assert after.status_code == 200


async def test_under_overload_requests_other_than_predictions_are_answered(
    narrow: Settings,
) -> None:
    async with running(narrow) as service:
        with service.state.admission.enter():
            statuses = {
                path: (await service.client.get(path)).status_code
                for path in ("/v2/health/live", "/v2/health/ready", "/v1/models", "/metrics", "/no")
            }
            wrong_method = await service.client.get(PREDICTIONS)
    assert statuses.pop("/no") == 404
    assert set(statuses.values()) == {200}
    assert wrong_method.status_code == 405


async def test_a_refusal_reads_nothing_of_the_upload(narrow: Settings) -> None:
    read = []

    async def upload() -> AsyncIterator[bytes]:
        read.append(1)
        yield b"\xff\xd8"

    async with running(narrow) as service:
        with service.state.admission.enter():
            refused = await service.client.post(PREDICTIONS, content=upload())
    assert refused.status_code == 503
    # httpx hands the body over when it is asked for.
    assert read == []


async def test_a_refusal_is_counted_in_the_metrics_like_any_other(narrow: Settings) -> None:
    async with running(narrow) as service:
        with service.state.admission.enter():
            await service.predict()
        text = (await service.client.get("/metrics")).text
    assert 'lentigo_rejections_total{reason="busy"} 1.0' in text
    series = 'lentigo_http_requests_total{method="POST",route="/v1/predictions",status="503"} 1.0'
    assert series in text


async def test_a_refusal_for_overload_has_no_request_line_in_the_log(narrow: Settings) -> None:
    with structlog.testing.capture_logs() as logs:
        async with running(narrow) as service:
            with service.state.admission.enter():
                for _ in range(3):
                    await service.predict()
            await service.predict()
    assert [entry["status"] for entry in logs if entry["event"] == "request"] == [200]


async def test_refusals_are_summed_up_in_the_log_by_problem_and_key() -> None:
    refusals = RefusalLog(interval_s=0)
    with structlog.testing.capture_logs() as logs:
        for key in ("ward-7", None, "ward-7"):
            refusals.count(RequestRecord(key=key, problem="busy"))
        await asyncio.sleep(0.001)
        refusals.count(RequestRecord(problem="stopping"))
        await asyncio.sleep(0.001)
    told = [(entry["problem"], entry["key"], entry["requests"]) for entry in logs]
    assert told == [("busy", "none", 1), ("busy", "ward-7", 2), ("stopping", "none", 1)]
    assert {entry["event"] for entry in logs} == {"requests refused"}


def name_of(authenticator: Authenticator, key: str | None) -> str | None:
    caller = authenticator.known(key)
    return None if caller is None else caller.name


async def test_name_of_a_key_is_known_while_it_is_in_the_file(
    tmp_path: Path,
) -> None:
    file = tmp_path / "keys.json"
    record, key = make_key("ward-7", frozenset({Scope.PREDICT}))
    add_key(file, record)
    authenticator = Authenticator(file)
    assert name_of(authenticator, key) == "ward-7"
    for other in (None, "", key[:-1], key.replace(record.id, "00" * (len(record.id) // 2))):
        assert name_of(authenticator, other) is None
    remove_key(file, "ward-7")
    authenticator.refresh()
    assert name_of(authenticator, key) is None


async def test_name_of_a_key_of_schema_1_is_known_after_its_first_use(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(SCHEMA_1)
    authenticator = Authenticator(file)
    assert name_of(authenticator, SCHEMA_1_KEY) is None
    await authenticator.authenticate(SCHEMA_1_KEY)
    assert name_of(authenticator, SCHEMA_1_KEY) == "ward"
    assert name_of(authenticator, SCHEMA_1_KEY[:-1]) is None
    remove_key(file, "ward")
    authenticator.refresh()
    assert name_of(authenticator, SCHEMA_1_KEY) is None


async def test_uploads_with_one_key_leave_slots_for_another(
    settings: Settings, store: ModelStore, tmp_path: Path
) -> None:
    """A key that starts as many uploads as are allowed, and sends a byte of each, for ever."""
    publish_plain(store, 1)
    file = tmp_path / "keys.json"
    keys = {}
    for name in ("hog", "ward"):
        record, keys[name] = make_key(name, frozenset({Scope.PREDICT}))
        add_key(file, record)
    guarded = settings.model_copy(update={"key_file": file, "max_pending": 16})
    go_on = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"\xff"
        await go_on.wait()

    async with running(guarded) as service:
        hog, ward = ({"Authorization": f"Bearer {key}"} for key in keys.values())
        hogging = [
            asyncio.create_task(service.client.post(PREDICTIONS, content=endless(), headers=hog))
            for _ in range(16)
        ]
        done: set[asyncio.Task[httpx.Response]] = set()
        async with asyncio.timeout(DEADLINE_S):
            while service.state.admission.under_way + len(done) < 16:
                done = {task for task in hogging if task.done()}
                await asyncio.sleep(0)
            answers = [await service.predict(headers=ward) for _ in range(3)]
        go_on.set()
        await asyncio.gather(*hogging)
        refused = [task.result() for task in done]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert refused
    for answer in refused:
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
        assert problem_of(answer)["type"] == "urn:lentigo:problem:rate-limited"


@pytest.mark.parametrize("held", [[48], [48, 12], [48, 12, 3]], ids=["one", "two", "three"])
async def test_keys_that_take_what_they_get_always_leave_something(held: list[int]) -> None:
    admission = Admission(64)
    with ExitStack() as stack:
        for number, expected in enumerate(held):
            got = 0
            with suppress(RateLimitedError, ServiceBusyError):
                while True:
                    stack.enter_context(admission.enter(key=f"key {number}"))
                    got += 1
            assert got == expected
        with admission.enter(key="another"):
            assert admission.under_way == sum(held) + 1
    assert admission.under_way == 0


async def test_a_key_alone_may_send_what_weighs_more_than_its_share() -> None:
    admission = Admission(4)
    with admission.enter(4, "ward"):
        assert admission.under_way == 4


async def test_without_keys_there_are_no_shares() -> None:
    admission = Admission(4)
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(admission.enter())
        assert admission.under_way == 4


async def test_a_key_may_have_a_limit_of_its_own(
    settings: Settings, store: ModelStore, tmp_path: Path
) -> None:
    """It is kept however much room there is, and other keys do not feel it."""
    publish_plain(store, 1)
    file = tmp_path / "keys.json"
    keys = {}
    for name, limits in (("narrow", KeyLimits(max_pending=2)), ("ward", None)):
        record, keys[name] = make_key(name, frozenset({Scope.PREDICT}), limits)
        add_key(file, record)
    narrow, ward = ({"Authorization": f"Bearer {key}"} for key in keys.values())
    async with running(settings.model_copy(update={"key_file": file})) as service:
        with ExitStack() as held:
            for _ in range(2):
                held.enter_context(service.state.admission.enter(key="narrow"))
            refused = await service.predict(headers=narrow)
            other = await service.predict(headers=ward)
        after = await service.predict(headers=narrow)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert problem_of(refused)["type"] == "urn:lentigo:problem:rate-limited"
    assert "no more than 2 at a time" in problem_of(refused)["detail"]
    assert (other.status_code, after.status_code) == (200, 200)


async def test_a_limit_of_a_key_holds_under_overload_too(
    settings: Settings, store: ModelStore, tmp_path: Path
) -> None:
    publish_plain(store, 1)
    file = tmp_path / "keys.json"
    record, key = make_key("narrow", frozenset({Scope.PREDICT}), KeyLimits(max_pending=1))
    add_key(file, record)
    guarded = settings.model_copy(update={"key_file": file, "max_pending": 8})
    async with running(guarded) as service:
        admission = service.state.admission
        with admission.enter(key="narrow"), admission.enter(3, "ward"):
            assert admission.crowded
            refused = await service.predict(headers={"X-API-Key": key})
    assert refused.status_code == 429
    assert "no more than 1 at a time" in problem_of(refused)["detail"]


def test_what_counts_as_more_than_a_key_may_have_is_accepted_when_it_has_nothing() -> None:
    admission = Admission(64)
    with admission.enter(4, "narrow", 2), pytest.raises(RateLimitedError):
        admission.require_room(1, "narrow", 2)
    admission.require_room(4, "narrow", 2)
