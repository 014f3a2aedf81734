"""Keys of the API: who is admitted, who is refused, and what the log says."""

import asyncio
import hmac
import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import httpx
import pytest
import structlog

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.api.dependencies import LifespanState
from lentigo_inference.app import create_app
from lentigo_inference.errors import (
    ForbiddenError,
    RateLimitedError,
    Unauthorized,
    UnauthorizedError,
)
from lentigo_inference.security.api_keys import (
    KeyLimits,
    Scope,
    ScryptKey,
    add_key,
    make_key,
    remove_key,
)
from lentigo_inference.security.authenticator import Authenticator
from lentigo_inference.security.rate_limit import RateLimit
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes
from tests.inference.live_app import PREDICTIONS, problem_of, running
from tests.inference.network import DEADLINE_S
from tests.inference.security.old_key_file import SCHEMA_1, SCHEMA_1_KEY
from tests.models import load_plain, publish_plain

anyio = pytest.mark.anyio

LOAD = "/v2/repository/models/lentigo/load"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def keys(key_file: Path) -> dict[str, str]:
    """A key of each scope, named like it."""
    made = {}
    for scope in Scope:
        record, made[scope.value] = make_key(scope.value, frozenset({scope}))
        add_key(key_file, record)
    return made


@pytest.fixture
def guarded(settings: Settings, store: ModelStore, key_file: Path) -> Settings:
    publish_plain(store, 1)
    return settings.model_copy(update={"key_file": key_file})


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "Content-Type": "image/jpeg"}


async def predict(client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    return await client.post(PREDICTIONS, content=jpeg_bytes(), headers=headers)


@anyio
async def test_a_prediction_needs_a_key_that_is_known(
    guarded: Settings, keys: dict[str, str]
) -> None:
    wrong = [
        {},
        bearer(""),
        bearer("x"),
        bearer(keys["predict"] + "x"),
        {"X-API-Key": "lentigo_a_b"},
    ]
    async with running(guarded) as service:
        for headers in wrong:
            response = await predict(service.client, headers)
            assert response.status_code == 401
            assert response.headers["www-authenticate"].startswith("Bearer")
            assert problem_of(response)["type"].endswith("unauthorized")
        for headers in (bearer(keys["predict"]), {"X-API-Key": keys["predict"]}):
            assert (await predict(service.client, headers)).status_code == 200


@anyio
@pytest.mark.parametrize("scope", ["admin", "metrics"])
async def test_a_key_of_another_scope_is_forbidden(
    guarded: Settings, keys: dict[str, str], scope: str
) -> None:
    async with running(guarded) as service:
        response = await predict(service.client, bearer(keys[scope]))
    assert response.status_code == 403
    assert "scope predict" in problem_of(response)["detail"]


@anyio
async def test_health_and_the_description_are_open(guarded: Settings, keys: dict[str, str]) -> None:
    assert keys
    async with running(guarded) as service:
        for path in ("/v2/health/live", "/v2/health/ready", "/openapi.json"):
            assert (await service.client.get(path)).status_code == 200
        assert (await service.client.get("/")).status_code < 400
        # A phone shares images with the page without a key; the page asks for one when it predicts.
        assert (await service.client.post("/share")).headers["location"] == "./?shared"
        assert (await service.client.get("/v1/models")).status_code == 401


@anyio
async def test_a_removed_key_is_refused_and_an_added_one_admitted(
    guarded: Settings, keys: dict[str, str], key_file: Path
) -> None:
    async with running(guarded) as service:
        assert (await predict(service.client, bearer(keys["predict"]))).status_code == 200
        remove_key(key_file, "predict")
        record, text = make_key("predict", frozenset({Scope.PREDICT}))
        add_key(key_file, record)
        await asyncio.to_thread(service.state.authenticator.refresh)
        assert (await predict(service.client, bearer(keys["predict"]))).status_code == 401
        assert (await predict(service.client, bearer(text))).status_code == 200


@anyio
async def test_the_service_reads_the_key_file_again_every_second(
    guarded: Settings, keys: dict[str, str], key_file: Path
) -> None:
    waiting, go_on, checked_again = threading.Event(), threading.Event(), threading.Event()
    checks_of_keys: list[float] = []

    def wait(seconds: float) -> bool:
        if seconds == guarded.reload_interval_s:
            return True
        checks_of_keys.append(seconds)
        if len(checks_of_keys) > 1:
            checked_again.set()
            return True
        waiting.set()
        return not go_on.wait(DEADLINE_S)

    app = create_app(guarded, load=load_plain, wait=wait)
    async with app.router.lifespan_context(app) as lifespan_state:
        authenticator = cast("LifespanState", lifespan_state)["app_state"].authenticator
        assert await asyncio.to_thread(waiting.wait, DEADLINE_S)
        assert authenticator.known(keys["predict"]) is not None
        await asyncio.to_thread(remove_key, key_file, "predict")
        go_on.set()
        assert await asyncio.to_thread(checked_again.wait, DEADLINE_S)
        assert authenticator.known(keys["predict"]) is None
    assert checks_of_keys == [1.0, 1.0]


@anyio
async def test_a_key_file_that_is_damaged_or_gone_leaves_the_keys(
    guarded: Settings, keys: dict[str, str], key_file: Path
) -> None:
    async with running(guarded) as service:
        authenticator = service.state.authenticator
        with structlog.testing.capture_logs() as logs:
            await asyncio.to_thread(key_file.write_text, "{")
            await asyncio.to_thread(authenticator.refresh)
            await asyncio.to_thread(authenticator.refresh)
            await asyncio.to_thread(key_file.unlink)
            await asyncio.to_thread(authenticator.refresh)
        assert (await predict(service.client, bearer(keys["predict"]))).status_code == 200
    assert [entry["log_level"] for entry in logs] == ["error", "error"]


@anyio
async def test_a_scrypt_key_of_schema_1_is_admitted_and_hashed_once(
    guarded: Settings, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(key_file.write_text, SCHEMA_1)
    hashed: list[str] = []
    matches = ScryptKey.matches

    def counted(record: ScryptKey, secret: str) -> bool:
        hashed.append(secret)
        return matches(record, secret)

    monkeypatch.setattr(ScryptKey, "matches", counted)
    async with running(guarded) as service:
        wrong = await predict(service.client, bearer(SCHEMA_1_KEY[:-1] + "~"))
        answers = await asyncio.gather(
            *(predict(service.client, bearer(SCHEMA_1_KEY)) for _ in range(3))
        )
        wrong_later = await predict(service.client, bearer(SCHEMA_1_KEY[:-1] + "~"))
    assert (wrong.status_code, wrong_later.status_code) == (401, 401)
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    # The wrong key, and the right one once.
    assert len(hashed) == 2


@anyio
@pytest.mark.parametrize("schema", [1, 2])
async def test_sixty_requests_with_one_key_right_after_start_are_all_admitted(
    guarded: Settings, keys: dict[str, str], key_file: Path, schema: int
) -> None:
    if schema == 1:
        await asyncio.to_thread(key_file.write_text, SCHEMA_1)
    key = SCHEMA_1_KEY if schema == 1 else keys["predict"]
    async with running(guarded) as service:
        answers = await asyncio.gather(
            *(service.client.get("/v1/models", headers=bearer(key)) for _ in range(60))
        )
    assert {answer.status_code for answer in answers} == {200}


@anyio
async def test_secrets_are_compared_in_constant_time(
    guarded: Settings, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The standard library's comparison takes as long whatever differs; none is made without it."""
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def recorded(first: bytes, second: bytes) -> bool:
        compared.append((len(first), len(second)))
        return compare(first, second)

    monkeypatch.setattr(hmac, "compare_digest", recorded)
    async with running(guarded) as service:
        for _ in range(2):
            assert (await predict(service.client, bearer(keys["predict"]))).status_code == 200
        wrong = await predict(service.client, bearer(keys["predict"][:-1] + "~"))
        assert wrong.status_code == 401
    assert compared == [(32, 32)] * 3


@anyio
async def test_the_log_has_the_name_of_the_key_but_not_the_key(
    guarded: Settings, keys: dict[str, str]
) -> None:
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as logs:
        async with running(guarded) as service:
            await predict(service.client, bearer(keys["predict"]))
            await predict(service.client, bearer(keys["predict"] + "x"))
    requests = [entry for entry in logs if entry["event"] == "request"]
    assert [entry.get("key") for entry in requests] == ["predict", None]
    assert keys["predict"].split("_", 2)[2] not in repr(logs)


@anyio
async def test_administration_without_a_key_file_is_forbidden_and_says_how(
    settings: Settings,
) -> None:
    async with running(settings) as service:
        assert (await service.client.get("/v1/models")).status_code == 200
        authenticator = service.state.authenticator
        key = await authenticator.authenticate(None)
        with pytest.raises(ForbiddenError, match="keys add NAME --scope admin"):
            authenticator.authorize(key, Scope.ADMIN)


@anyio
async def test_requests_beyond_the_limit_get_a_retry_after(
    guarded: Settings, keys: dict[str, str]
) -> None:
    limited = guarded.model_copy(update={"rate_limit_per_minute": 2})
    async with running(limited) as service:
        statuses = [(await predict(service.client, bearer(keys["predict"]))) for _ in range(3)]
        health = await service.client.get("/v2/health/live")
    assert [response.status_code for response in statuses] == [200, 200, 429]
    assert 1 <= int(statuses[2].headers["retry-after"]) <= 30
    assert problem_of(statuses[2])["type"].endswith("rate-limited")
    assert health.status_code == 200


def test_a_bucket_fills_again_with_time_and_each_caller_has_its_own() -> None:
    now = 0.0
    limit = RateLimit(2, lambda: now)
    limit.take("a")
    limit.take("a")
    limit.take("b")
    with pytest.raises(RateLimitedError) as raised:
        limit.take("a")
    assert raised.value.retry_after_s == pytest.approx(30)
    now = 30.0
    limit.take("a")
    with pytest.raises(RateLimitedError):
        limit.take("a")


def test_a_limit_of_0_limits_nothing() -> None:
    limit = RateLimit(0)
    for _ in range(1000):
        limit.take("a")


@anyio
async def test_wrong_secrets_for_one_old_key_do_not_hold_up_another(
    guarded: Settings, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = json.loads(SCHEMA_1)
    (entry,) = document["keys"]
    other = {**entry, "id": "00" * 6, "name": "flooded"}
    await asyncio.to_thread(key_file.write_text, json.dumps({**document, "keys": [entry, other]}))
    opened = threading.Event()
    matches = ScryptKey.matches

    def held(record: ScryptKey, secret: str) -> bool:
        if record.name == "flooded":
            assert opened.wait(DEADLINE_S)
        return matches(record, secret)

    monkeypatch.setattr(ScryptKey, "matches", held)
    wrong = SCHEMA_1_KEY.replace(entry["id"], "00" * 6)
    async with running(guarded) as service:
        flood = [asyncio.create_task(predict(service.client, bearer(wrong))) for _ in range(20)]
        await asyncio.sleep(0)
        answer = await predict(service.client, bearer(SCHEMA_1_KEY))
        opened.set()
        await asyncio.gather(*flood)
    assert answer.status_code == 200


@anyio
async def test_the_metrics_need_a_key_of_their_scope(
    guarded: Settings, keys: dict[str, str]
) -> None:
    async with running(guarded) as service:
        answers = [
            await service.client.get("/metrics", headers=bearer(key) if key else {})
            for key in ("", keys["predict"], keys["admin"], keys["metrics"])
        ]
    assert [answer.status_code for answer in answers] == [401, 403, 403, 200]
    assert "lentigo_ready 1.0" in answers[3].text


@anyio
async def test_a_key_is_refused_from_the_moment_it_expires(key_file: Path) -> None:
    now = datetime(2027, 1, 1, tzinfo=UTC)
    limits = KeyLimits(expires=now + timedelta(hours=1))
    record, key = make_key("ward", frozenset({Scope.PREDICT}), limits)
    await asyncio.to_thread(add_key, key_file, record)
    authenticator = Authenticator(key_file, now=lambda: now)
    assert await authenticator.authenticate(key) == authenticator.known(key)
    now += timedelta(hours=1)
    assert authenticator.known(key) is None
    with pytest.raises(UnauthorizedError, match="has expired") as raised:
        await authenticator.authenticate(key)
    assert (raised.value.reason, raised.value.key) == (Unauthorized.EXPIRED_KEY, "ward")
    with pytest.raises(UnauthorizedError, match="not known"):
        await authenticator.authenticate(key + "x")


@anyio
async def test_the_refusal_of_an_expired_key_says_whose_it_was(
    guarded: Settings, key_file: Path
) -> None:
    limits = KeyLimits(expires=datetime(2026, 1, 1, tzinfo=UTC))
    record, key = make_key("ward", frozenset({Scope.PREDICT}), limits)
    await asyncio.to_thread(add_key, key_file, record)
    with structlog.testing.capture_logs() as logs:
        async with running(guarded) as service:
            refused = await predict(service.client, bearer(key))
    (line,) = [entry for entry in logs if entry["event"] == "request"]
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    assert (line["key"], line["reason"]) == ("ward", "expired-key")


@anyio
async def test_a_key_may_have_a_rate_limit_of_its_own(guarded: Settings, key_file: Path) -> None:
    made = {}
    for name, own in (("slow", 1), ("plain", None), ("free", 0)):
        limits = KeyLimits(rate_limit_per_minute=own)
        record, made[name] = make_key(name, frozenset({Scope.PREDICT}), limits)
        await asyncio.to_thread(add_key, key_file, record)
    async with running(guarded.model_copy(update={"rate_limit_per_minute": 2})) as service:
        statuses = {
            name: [
                (await service.client.get("/v1/models", headers=bearer(key))).status_code
                for _ in range(3)
            ]
            for name, key in made.items()
        }
    assert statuses == {"slow": [200, 429, 429], "plain": [200, 200, 429], "free": [200] * 3}


@anyio
async def test_the_line_of_a_forbidden_request_names_the_key(
    guarded: Settings, keys: dict[str, str]
) -> None:
    with structlog.testing.capture_logs() as logs:
        async with running(guarded) as service:
            refused = await predict(service.client, bearer(keys["metrics"]))
    (line,) = [entry for entry in logs if entry["event"] == "request"]
    assert (line["key"], line["status"]) == ("metrics", 403)
    assert refused.headers["www-authenticate"].endswith(
        'error="insufficient_scope", scope="predict"'
    )
