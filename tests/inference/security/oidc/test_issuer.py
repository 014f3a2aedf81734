"""How long the issuer's keys are trusted, and how often it is asked for them."""

import asyncio
from typing import Any

import pytest
import structlog

from lentigo_inference.errors import (
    IssuerError,
    IssuerUnavailableError,
    Unauthorized,
    UnauthorizedError,
)
from lentigo_inference.security.oidc.claims import ClaimMapping
from lentigo_inference.security.oidc.issuer import Issuer
from lentigo_inference.security.oidc.key_set import MAX_KEYS, read_key_set
from lentigo_inference.security.oidc.tokens import TokenRules, TokenVerifier
from tests.inference.security.oidc.made_tokens import (
    AUDIENCE,
    ISSUER,
    claims,
    ec_key,
    ed_key,
    encoded,
    entry,
    key_set,
    rsa_key,
    signed,
)

pytestmark = pytest.mark.anyio

MAX_AGE_S = 3600.0
DOWN = IssuerError("login.example cannot be reached.")
FIRST = entry(ed_key(), "first")
SECOND = entry(ec_key(), "second")


class Asked:
    """An issuer that answers what the test says, and a clock that the test turns."""

    def __init__(self, answer: dict[str, Any] | Exception) -> None:
        self.answer = answer
        self.times = 0
        self.now = 1000.0
        self.told: list[bool] = []
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.issuer = Issuer(
            ISSUER, MAX_AGE_S, fetch=self.fetch, clock=lambda: self.now, observe=self.told.append
        )

    async def fetch(self, address: str) -> dict[str, Any]:
        assert address == ISSUER
        self.times += 1
        self.begun.set()
        await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def unknown(issuer: Issuer, key_id: str) -> bool:
    """Whether the issuer is known to have no such key."""
    with pytest.raises(UnauthorizedError) as raised:
        await issuer.find(key_id)
    return raised.value.reason is Unauthorized.UNKNOWN_SIGNING_KEY


async def test_the_issuer_is_asked_once_for_many_tokens() -> None:
    asked = Asked(key_set(FIRST))
    found = await asyncio.gather(*(asked.issuer.find("first") for _ in range(50)))
    assert len(set(map(id, found))) == 1
    asked.now += 299
    await asked.issuer.find("first")
    assert asked.times == 1


async def test_a_new_key_is_found_when_the_first_token_with_it_comes() -> None:
    asked = Asked(key_set(FIRST))
    await asked.issuer.find("first")
    asked.answer = key_set(FIRST, SECOND)
    asked.now += 11
    assert (await asked.issuer.find("second")).algorithms == ("ES256",)
    assert asked.times == 2


async def test_unknown_keys_do_not_have_the_issuer_asked_more_than_every_ten_seconds() -> None:
    asked = Asked(key_set(FIRST))
    await asked.issuer.refresh()
    for number in range(100):
        assert await unknown(asked.issuer, f"made-up-{number}")
    assert asked.times == 1
    asked.now += 11
    for number in range(100):
        assert await unknown(asked.issuer, f"made-up-{number}")
    assert asked.times == 2


async def test_a_key_that_is_no_longer_published_is_refused_after_the_next_answer() -> None:
    asked = Asked(key_set(FIRST, SECOND))
    await asked.issuer.find("first")
    asked.answer = key_set(SECOND)
    await asked.issuer.refresh()
    assert await unknown(asked.issuer, "first")


async def test_a_token_that_was_accepted_is_refused_once_its_key_is_gone() -> None:
    asked = Asked(key_set(FIRST))
    checks = TokenVerifier(
        asked.issuer, TokenRules(AUDIENCE, 30, ClaimMapping.parse("scope", (), "sub"))
    )
    token = signed(claims(), ed_key(), "EdDSA")
    await checks.verify(token)
    asked.answer = key_set(SECOND)
    await asked.issuer.refresh()
    assert checks.known(token) is None
    with pytest.raises(UnauthorizedError):
        await checks.verify(token)


async def test_another_key_under_the_same_id_makes_earlier_tokens_void() -> None:
    asked = Asked(key_set(FIRST))
    before = await asked.issuer.find("first")
    asked.answer = key_set({**SECOND, "kid": "first"})
    await asked.issuer.refresh()
    assert await asked.issuer.find("first") != before
    assert asked.issuer.key_sets == 2


async def test_while_the_issuer_is_away_its_keys_work_until_they_are_too_old() -> None:
    asked = Asked(key_set(FIRST))
    await asked.issuer.refresh()
    asked.answer = DOWN
    for _ in range(12):
        asked.now += 300
        await asked.issuer.refresh()
    assert (await asked.issuer.find("first")).algorithms == ("EdDSA",)
    asked.now += 1
    with pytest.raises(IssuerUnavailableError) as raised:
        await asked.issuer.find("first")
    assert raised.value.retry_after_s > 0
    asked.answer = key_set(FIRST)
    asked.now += 11
    assert (await asked.issuer.find("first")).algorithms == ("EdDSA",)


async def test_without_any_keys_a_token_cannot_be_checked_now() -> None:
    asked = Asked(DOWN)
    delays = []
    for _ in range(3):
        with pytest.raises(IssuerUnavailableError, match="does not answer") as raised:
            await asked.issuer.find("first")
        delays.append(raised.value.retry_after_s)
        asked.now += 1
    assert asked.times == 1
    assert delays == pytest.approx([10, 9, 8])


async def test_an_unknown_key_cannot_be_refused_for_good_while_the_issuer_is_away() -> None:
    """It may be one that the issuer began to use meanwhile."""
    asked = Asked(key_set(FIRST))
    await asked.issuer.refresh()
    asked.answer = DOWN
    asked.now += 11
    with pytest.raises(IssuerUnavailableError):
        await asked.issuer.find("second")
    await asked.issuer.find("first")


async def test_a_client_that_leaves_does_not_take_the_answer_from_the_others() -> None:
    asked = Asked(key_set(FIRST))
    asked.gate.clear()
    leaving = asyncio.create_task(asked.issuer.find("first"))
    staying = asyncio.create_task(asked.issuer.find("first"))
    await asked.begun.wait()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    asked.gate.set()
    assert (await staying).algorithms == ("EdDSA",)
    assert asked.times == 1


async def test_the_issuer_is_asked_at_start_and_no_more_after_the_stop() -> None:
    asked = Asked(key_set(FIRST))
    asked.gate.clear()
    asked.issuer.start()
    await asked.begun.wait()
    await asked.issuer.stop()
    assert asked.times == 1
    assert not asked.issuer.usable


async def test_the_log_and_the_metrics_say_when_the_issuer_goes_and_comes() -> None:
    asked = Asked(key_set(FIRST))
    with structlog.testing.capture_logs() as logs:
        await asked.issuer.refresh()
        await asked.issuer.refresh()
        asked.answer = DOWN
        await asked.issuer.refresh()
        await asked.issuer.refresh()
        asked.answer = RuntimeError("a bug")
        await asked.issuer.refresh()
        asked.answer = key_set(FIRST)
        await asked.issuer.refresh()
        asked.answer = key_set()
        await asked.issuer.refresh()
    assert [(line["log_level"], line["event"]) for line in logs] == [
        ("info", "issuer keys read"),
        ("error", "issuer unreachable, earlier keys stay"),
        ("error", "unforeseen error"),
        ("error", "issuer unreachable, earlier keys stay"),
        ("info", "issuer reachable again"),
        ("warning", "issuer keys read"),
    ]
    assert asked.told == [True, True, False, False, False, True, True]


@pytest.mark.parametrize(
    "address",
    [
        "http://login.example",
        "http://192.0.2.7:8080",
        "http://localhost.example",
        "ftp://login.example",
        "login.example",
        "https://",
        "https://user:password@login.example",
        "https://login.example/#here",
        "https://login.example:port",
        "https://[::1",
        "",
    ],
)
def test_an_issuer_without_tls_or_with_no_proper_address_is_refused(address: str) -> None:
    with pytest.raises(IssuerError, match=r"HTTPS|not an address"):
        Issuer(address, MAX_AGE_S)


@pytest.mark.parametrize(
    "address",
    ["https://login.example", "http://localhost:8080", "http://127.0.0.1/a", "http://[::1]:8080"],
)
def test_an_issuer_with_tls_or_on_this_machine_is_accepted(address: str) -> None:
    assert Issuer(address, MAX_AGE_S).address == address


LARGE_EXPONENT = entry(rsa_key()) | {"e": encoded((2**40 + 1).to_bytes(6, "big"))}
UNUSABLE: dict[str, Any] = {
    "a secret": {"kty": "oct", "k": "c2VjcmV0", "kid": "a"},
    "for encryption": entry(rsa_key(), use="enc"),
    "for signing alone": entry(rsa_key(), key_ops=["sign"]),
    "operations that are no list": entry(rsa_key(), key_ops="verify"),
    "no id": entry(rsa_key(), kid=None),
    "id that is empty": entry(rsa_key(), kid=""),
    "id that is endless": entry(rsa_key(), kid="x" * 257),
    "id that is a number": entry(rsa_key(), kid=7),
    "another algorithm": entry(rsa_key(), alg="RSA-OAEP"),
    "a symmetric algorithm": entry(rsa_key(), alg="HS256"),
    "weak": entry(rsa_key("weak", 1024)),
    "exponent too large": LARGE_EXPONENT,
    "modulus too long": {**entry(rsa_key()), "n": encoded(b"\xff" * 1100)},
    "modulus endless": {**entry(rsa_key()), "n": "A" * 100_000},
    "modulus missing": entry(rsa_key(), n=None),
    "modulus a number": {**entry(rsa_key()), "n": 7},
    "modulus no base64": {**entry(rsa_key()), "n": "é"},
    "point not on the curve": {**entry(ec_key()), "x": encoded(bytes(32))},
    "curve of bitcoin": {**entry(ec_key()), "crv": "secp256k1"},
    "curve that is a list": {**entry(ec_key()), "crv": []},
    "type that is a list": {**entry(ec_key()), "kty": []},
    "no object": "first",
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_key_that_must_not_check_tokens_is_passed_over(name: str) -> None:
    assert set(read_key_set({"keys": [UNUSABLE[name], SECOND]})) == {"second"}


def test_a_private_part_that_is_published_by_mistake_is_not_read() -> None:
    (key,) = read_key_set(key_set({**FIRST, "d": encoded(bytes(32))})).values()
    assert key == read_key_set(key_set(FIRST))["first"]


def test_of_two_keys_with_one_id_the_first_counts() -> None:
    keys = read_key_set(key_set(FIRST, {**SECOND, "kid": "first"}))
    assert keys["first"].algorithms == ("EdDSA",)


@pytest.mark.parametrize("document", [{}, {"keys": None}, {"keys": {}}, {"keys": "first"}])
def test_what_is_no_key_set_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(IssuerError, match="no list of keys"):
        read_key_set(document)


def test_a_key_set_with_very_many_keys_is_refused() -> None:
    assert read_key_set({"keys": [FIRST] * MAX_KEYS})
    with pytest.raises(IssuerError, match=f"{MAX_KEYS + 1} keys"):
        read_key_set({"keys": [FIRST] * (MAX_KEYS + 1)})
