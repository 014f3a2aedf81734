"""Fetching what the issuer publishes, from a real server that may do anything."""

import asyncio
import gzip
import time
from collections.abc import Iterator

import pytest

from lentigo_inference.errors import IssuerError
from lentigo_inference.security.oidc.documents import MAX_BYTES, fetch_key_set, require_safe_address
from tests.inference.network import DEADLINE_S
from tests.inference.security.oidc.made_issuer import (
    CONFIGURATION,
    KEYS,
    Answer,
    MadeIssuer,
    made_issuer,
)
from tests.inference.security.oidc.made_tokens import ed_key, entry, key_set
from tests.ports import free_port

pytestmark = pytest.mark.anyio

FIRST = entry(ed_key())


@pytest.fixture
def issuer() -> Iterator[MadeIssuer]:
    with made_issuer() as issuer:
        issuer.publish(FIRST)
        yield issuer


async def test_the_key_set_is_where_the_configuration_says(issuer: MadeIssuer) -> None:
    assert await fetch_key_set(issuer.address, DEADLINE_S) == key_set(FIRST)
    assert issuer.asked == [CONFIGURATION, KEYS]


async def test_a_slash_at_the_end_of_the_issuer_belongs_to_its_name(issuer: MadeIssuer) -> None:
    issuer.configure(issuer=issuer.address + "/")
    assert await fetch_key_set(issuer.address + "/", DEADLINE_S) == key_set(FIRST)
    with pytest.raises(IssuerError, match="another issuer"):
        await fetch_key_set(issuer.address, DEADLINE_S)


UNUSABLE: dict[str, tuple[Answer, str]] = {
    "a redirect elsewhere": (Answer(b"", 302, {"Location": "http://127.0.0.1:9/"}), "status 302"),
    "a redirect to itself": (Answer(b"", 301, {"Location": KEYS}), "status 301"),
    "nothing there": (Answer(b"no", 404), "status 404"),
    "a fault": (Answer(b"no", 500), "status 500"),
    "no content": (Answer(b"", 204), "status 204"),
    "nothing": (Answer(b""), "not answer with JSON"),
    "a page": (Answer(b"<html>"), "not answer with JSON"),
    "no text": (Answer(b"\xff\xfe"), "not answer with JSON"),
    "nested without end": (Answer(b"[" * 100_000), "not answer with JSON"),
    "a list": (Answer(b"[]"), "JSON object"),
    "very much": (Answer(b" " * (MAX_BYTES + 1)), "more than 262,144 bytes"),
    "compressed": (
        Answer(gzip.compress(b" " * 2**24), 200, {"Content-Encoding": "gzip"}),
        "compressed",
    ),
}


@pytest.mark.parametrize("path", [CONFIGURATION, KEYS])
@pytest.mark.parametrize("name", UNUSABLE)
async def test_any_other_answer_is_refused_and_says_why(
    issuer: MadeIssuer, path: str, name: str
) -> None:
    issuer.answers[path], message = UNUSABLE[name]
    with pytest.raises(IssuerError, match=message):
        await fetch_key_set(issuer.address, DEADLINE_S)
    # Nothing was followed anywhere.
    assert issuer.asked[-1] == path


async def test_of_a_hundred_megabytes_no_more_is_read_than_may_be(issuer: MadeIssuer) -> None:
    issuer.answers[KEYS] = Answer(b" " * 2**20, times=100)
    with pytest.raises(IssuerError, match="more than 262,144 bytes"):
        await fetch_key_set(issuer.address, DEADLINE_S)
    # What is on its way is a few megabytes at most, so the issuer could not send all of it.
    assert await asyncio.to_thread(issuer.cut_off.wait, DEADLINE_S)


async def test_who_speaks_for_another_issuer_is_refused(issuer: MadeIssuer) -> None:
    issuer.configure(issuer="https://login.example")
    with pytest.raises(IssuerError, match="another issuer"):
        await fetch_key_set(issuer.address, DEADLINE_S)
    assert issuer.asked == [CONFIGURATION]


@pytest.mark.parametrize("address", [None, 7, ["http://127.0.0.1/"]])
async def test_a_configuration_without_a_key_set_is_refused(
    issuer: MadeIssuer, address: object
) -> None:
    issuer.configure(jwks_uri=address)
    with pytest.raises(IssuerError, match="no key set"):
        await fetch_key_set(issuer.address, DEADLINE_S)


@pytest.mark.parametrize(
    "address", ["http://login.example/keys", "file:///etc/passwd", "http://192.0.2.7/keys", "keys"]
)
async def test_a_key_set_elsewhere_without_tls_is_not_fetched(
    issuer: MadeIssuer, address: str
) -> None:
    issuer.configure(jwks_uri=address)
    with pytest.raises(IssuerError, match=r"not HTTPS|not an address"):
        await fetch_key_set(issuer.address, DEADLINE_S)
    assert issuer.asked == [CONFIGURATION]


def test_the_keys_of_an_issuer_with_tls_come_by_tls_also_from_this_machine() -> None:
    with pytest.raises(IssuerError, match="not HTTPS"):
        require_safe_address("http://127.0.0.1/keys", plain=False)


async def test_an_issuer_that_answers_too_slowly_is_given_up(issuer: MadeIssuer) -> None:
    issuer.go_on.clear()
    started = time.monotonic()
    with pytest.raises(IssuerError, match=r"did not answer within 0.05 s"):
        await fetch_key_set(issuer.address, 0.05)
    assert time.monotonic() - started < DEADLINE_S


async def test_an_issuer_that_is_not_there_is_reported() -> None:
    with pytest.raises(IssuerError, match="cannot be reached"):
        await fetch_key_set(f"http://127.0.0.1:{free_port()}", DEADLINE_S)


async def test_a_server_that_does_not_speak_tls_is_reported(issuer: MadeIssuer) -> None:
    address = issuer.address.replace("http:", "https:")
    with pytest.raises(IssuerError, match="cannot be reached"):
        await fetch_key_set(address, DEADLINE_S)
    assert issuer.asked == []


async def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    issuer: MadeIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert await fetch_key_set(issuer.address, DEADLINE_S) == key_set(FIRST)
