"""The service with an issuer: what tokens may do, what refusals look like, what is on record."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.errors import IssuerError
from lentigo_inference.security.api_keys import Scope, add_key, make_key
from lentigo_inference.security.oidc.documents import fetch_key_set
from lentigo_inference.security.oidc.issuer import Issuer
from lentigo_inference.security.oidc.tokens import token_verifier
from lentigo_inference.settings import Settings
from tests.inference.live_app import PREDICTIONS, problem_of, running
from tests.inference.network import DEADLINE_S
from tests.inference.security.oidc.made_issuer import KEYS, Answer, MadeIssuer, made_issuer
from tests.inference.security.oidc.made_tokens import (
    AUDIENCE,
    SUBJECT,
    claims,
    entry,
    public_pem,
    rsa_key,
    signed,
    with_hmac,
)
from tests.models import publish_plain

pytestmark = pytest.mark.anyio

NAME = f"oidc:{SUBJECT}"
LOAD = "/v2/repository/models/lentigo/load"


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, the issuer answers in time."""
    defaults = Issuer.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "fetch", partial(fetch_key_set, timeout_s=DEADLINE_S))


@pytest.fixture
def issuer() -> Iterator[MadeIssuer]:
    with made_issuer() as issuer:
        issuer.publish(entry(rsa_key()))
        yield issuer


@pytest.fixture
def trusting(settings: Settings, store: ModelStore, issuer: MadeIssuer) -> Settings:
    """A service that takes tokens of the issuer, and has no key file."""
    publish_plain(store, 1)
    changes = {"oidc_issuer": issuer.address, "oidc_audience": AUDIENCE}
    return settings.model_copy(update=changes)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def challenge_of(response: httpx.Response) -> str:
    header: str = response.headers["www-authenticate"]
    return header


async def test_a_token_lets_its_bearer_predict_and_nothing_besides(
    trusting: Settings, issuer: MadeIssuer
) -> None:
    async with running(trusting) as service:
        answers = {
            path: await service.client.request(method, path, headers=bearer(issuer.token()))
            for method, path in (("GET", "/v1/models"), ("POST", LOAD), ("GET", "/metrics"))
        }
        predicted = await service.predict(headers=bearer(issuer.token()))
        admin = issuer.token(scope="lentigo:admin lentigo:metrics")
        loaded = await service.client.post(LOAD, headers=bearer(admin))
        measured = await service.client.get("/metrics", headers=bearer(admin))
    assert predicted.status_code == 200
    assert [answer.status_code for answer in answers.values()] == [200, 403, 403]
    assert (loaded.status_code, measured.status_code) == (200, 200)
    refused = answers[LOAD]
    assert problem_of(refused)["type"] == "urn:lentigo:problem:forbidden"
    assert (
        challenge_of(refused) == 'Bearer realm="lentigo", error="insufficient_scope", scope="admin"'
    )


async def test_a_token_without_a_scope_is_known_and_may_do_nothing(
    trusting: Settings, issuer: MadeIssuer
) -> None:
    async with running(trusting) as service:
        refused = await service.predict(headers=bearer(issuer.token(scope="openid")))
    assert refused.status_code == 403
    assert "yours has none" in problem_of(refused)["detail"]


async def test_without_credentials_the_challenge_names_the_scheme_alone(
    trusting: Settings,
) -> None:
    async with running(trusting) as service:
        refused = await service.predict()
        health = await service.client.get("/v2/health/live")
    assert refused.status_code == 401
    # RFC 6750, section 3.1: no error code where nothing was sent.
    assert challenge_of(refused) == 'Bearer realm="lentigo"'
    assert "token" in problem_of(refused)["detail"]
    assert health.status_code == 200


async def test_each_refusal_is_one_line_with_its_reason_and_nothing_of_the_token(
    trusting: Settings, issuer: MadeIssuer
) -> None:
    tokens = {
        "token-expired": issuer.token(exp=1),
        "token-not-yet-valid": issuer.token(nbf=2**33),
        "wrong-audience": issuer.token(aud="pacs"),
        "wrong-signature": issuer.token(rsa_key("forger")),
        "algorithm-refused": with_hmac(public_pem(rsa_key())),
        "missing-claim": issuer.token(sub=None),
        "malformed-token": "Jane.Doe",
        "token-too-long": "a." + "b" * 20_000 + ".c",
    }
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as logs:
        async with running(trusting) as service:
            refusals = {
                reason: await service.predict(headers=bearer(token))
                for reason, token in tokens.items()
            }
            text = (
                await service.client.get(
                    "/metrics", headers=bearer(issuer.token(scope="lentigo:metrics"))
                )
            ).text
    for reason, refused in refusals.items():
        assert refused.status_code == 401
        assert problem_of(refused)["type"] == "urn:lentigo:problem:unauthorized"
        assert challenge_of(refused).startswith('Bearer realm="lentigo", error="invalid_token", ')
        lines = [line for line in logs if line.get("request_id") == refused.headers["x-request-id"]]
        (line,) = lines
        assert (line["event"], line["status"], line["problem"]) == ("request", 401, "unauthorized")
        assert line["reason"] == reason
        assert "key" not in line
        assert f'lentigo_unauthorized_total{{reason="{reason}"}} 1.0' in text
    written = repr(logs)
    for token in tokens.values():
        assert not any(len(part) > 2 and part in written for part in token.split("."))


async def test_addresses_in_a_token_are_asked_for_nothing(
    trusting: Settings, issuer: MadeIssuer
) -> None:
    forger = rsa_key("forger")
    issuer.answers["/forged"] = Answer.of({"keys": [entry(forger)]})
    there = issuer.address + "/forged"
    async with running(trusting) as service:
        for header in ("jku", "x5u"):
            token = signed(claims(iss=issuer.address), forger, kid="forger", **{header: there})
            assert (await service.predict(headers=bearer(token))).status_code == 401
    assert "/forged" not in issuer.asked


async def test_the_log_the_audit_trail_and_the_limits_have_the_name_of_the_bearer(
    trusting: Settings, issuer: MadeIssuer, tmp_path: Path
) -> None:
    from lentigo_inference.audit.export import records_in
    from lentigo_inference.audit.signing import make_key as make_signing_key

    folder = tmp_path / "audit"
    await asyncio.to_thread(folder.mkdir)
    await asyncio.to_thread(make_signing_key, tmp_path / "audit.key")
    audited = trusting.model_copy(
        update={
            "audit_dir": folder,
            "audit_key": tmp_path / "audit.key",
            "rate_limit_per_minute": 2,
        }
    )
    with structlog.testing.capture_logs() as logs:
        async with running(audited) as service:
            # Two tokens of one bearer have one limit, and another bearer has its own.
            statuses = [
                (await service.predict(headers=bearer(issuer.token(sub=sub, jti=jti)))).status_code
                for sub, jti in ((SUBJECT, "1"), (SUBJECT, "2"), (SUBJECT, "3"), ("x" * 900, "4"))
            ]
    assert statuses == [200, 200, 429, 200]
    lines = [line for line in logs if line["event"] == "request"]
    assert [line["key"] for line in lines[:3]] == [NAME] * 3
    assert lines[3]["key"].startswith("oidc:sha256:")
    records = await asyncio.to_thread(lambda: list(records_in(folder)))
    named = [record["key"] for record in records if record.get("kind") == "answer"]
    assert named == [NAME, NAME, lines[3]["key"]]


async def test_keys_and_tokens_work_beside_each_other(
    trusting: Settings, issuer: MadeIssuer, tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    record, key = make_key("ward", frozenset({Scope.PREDICT}))
    await asyncio.to_thread(add_key, file, record)
    async with running(trusting.model_copy(update={"key_file": file})) as service:
        by_key = await service.predict(headers={"X-API-Key": key})
        by_token = await service.predict(headers=bearer(issuer.token()))
        wrong_key = await service.predict(headers=bearer(key[:-1] + "~"))
    assert (by_key.status_code, by_token.status_code) == (200, 200)
    assert wrong_key.status_code == 401
    assert "API key is not known" in problem_of(wrong_key)["detail"]


async def test_without_a_key_file_a_key_is_not_known(
    trusting: Settings,
) -> None:
    async with running(trusting) as service:
        refused = await service.predict(headers=bearer("lentigo_00_x"))
    assert refused.status_code == 401


async def test_without_an_issuer_a_token_is_no_key(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    await asyncio.to_thread(add_key, file, make_key("ward", frozenset({Scope.PREDICT}))[0])
    async with running(settings.model_copy(update={"key_file": file})) as service:
        refused = await service.client.get("/v1/models", headers=bearer("a.b.c"))
    assert refused.status_code == 401
    assert "API key" in problem_of(refused)["detail"]


async def test_a_token_that_cannot_be_checked_now_is_503_with_a_delay(
    trusting: Settings, issuer: MadeIssuer
) -> None:
    issuer.answers[KEYS] = Answer(b"", 500)
    with structlog.testing.capture_logs() as logs:
        async with running(trusting) as service:
            refused = await service.predict(headers=bearer(issuer.token()))
            nonsense = await service.predict(headers=bearer("x"))
    assert refused.status_code == 503
    assert 1 <= int(refused.headers["retry-after"]) <= 10
    assert problem_of(refused)["type"] == "urn:lentigo:problem:issuer-unavailable"
    assert nonsense.status_code == 401
    reasons = [line["reason"] for line in logs if line["event"] == "issuer unreachable"]
    assert len(reasons) == 1
    assert "status 500" in reasons[0]


async def test_health_and_other_bearers_are_answered_while_the_issuer_is_slow(
    trusting: Settings, issuer: MadeIssuer, tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    record, key = make_key("ward", frozenset({Scope.PREDICT}))
    await asyncio.to_thread(add_key, file, record)
    issuer.go_on.clear()
    async with running(trusting.model_copy(update={"key_file": file})) as service:
        waiting = asyncio.create_task(service.predict(headers=bearer(issuer.token())))
        async with asyncio.timeout(DEADLINE_S):
            health = await service.client.get("/v2/health/live")
            answered = await service.predict(headers=bearer(key))
        issuer.go_on.set()
        await waiting
    assert (health.status_code, answered.status_code) == (200, 200)


async def test_a_refusal_for_overload_names_the_bearer_of_a_token_that_is_known(
    trusting: Settings, issuer: MadeIssuer
) -> None:
    token = issuer.token()
    async with running(trusting.model_copy(update={"max_pending": 4})) as service:
        authenticator = service.state.authenticator
        assert authenticator.known(token) is None
        assert (await service.predict(headers=bearer(token))).status_code == 200
        known = authenticator.known(token)
        assert known is not None
        with service.state.admission.enter(3, known.name):
            refused = await service.predict(headers=bearer(token))
    assert known.name == NAME
    assert refused.status_code == 429


async def test_refusing_a_token_reads_nothing_of_the_upload(
    trusting: Settings, issuer: MadeIssuer
) -> None:
    read = []

    async def upload() -> AsyncIterator[bytes]:
        read.append(1)
        yield b"\xff\xd8"

    async with running(trusting) as service:
        refused = await service.client.post(
            PREDICTIONS, content=upload(), headers=bearer(issuer.token(exp=1))
        )
    assert refused.status_code == 401
    assert read == []


@pytest.mark.parametrize("one", ["oidc_issuer", "oidc_audience"])
def test_issuer_and_audience_go_together(one: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"LENTIGO_{one.upper()}", "https://login.example")
    with pytest.raises(ValueError, match="go together"):
        Settings()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"oidc_issuer": "http://login.example"}, "not HTTPS"),
        ({"oidc_scopes": ("clinician",)}, "clinician=predict"),
    ],
)
def test_a_setting_that_is_wrong_is_refused_at_start(
    settings: Settings, changes: dict[str, Any], message: str
) -> None:
    good = {"oidc_issuer": "https://login.example", "oidc_audience": AUDIENCE}
    with pytest.raises(IssuerError, match=message):
        token_verifier(settings.model_copy(update={**good, **changes}))


def test_scopes_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENTIGO_OIDC_SCOPES", "doctor=predict, doctor=feedback")
    assert Settings().oidc_scopes == ("doctor=predict", "doctor=feedback")
