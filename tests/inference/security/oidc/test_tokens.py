"""Which tokens are accepted, and that everything else is refused with its reason."""

import json
import random
import string
import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import pytest

from lentigo_inference.errors import Unauthorized, UnauthorizedError
from lentigo_inference.security.api_keys import Scope
from lentigo_inference.security.oidc.claims import ClaimMapping
from lentigo_inference.security.oidc.issuer import Issuer
from lentigo_inference.security.oidc.key_set import ALLOWED
from lentigo_inference.security.oidc.tokens import MAX_CHARACTERS, TokenRules, TokenVerifier
from tests.inference.security.oidc.made_tokens import (
    AUDIENCE,
    ISSUER,
    SUBJECT,
    PrivateKey,
    assembled,
    claims,
    ec_key,
    ed_key,
    encoded,
    entry,
    key_set,
    public_pem,
    raw_signed,
    rsa_key,
    signed,
    with_header,
    with_hmac,
    with_other_content,
)

pytestmark = pytest.mark.anyio

# Of the points of NIST's curve P-256: SP 800-186, section 3.2.1.3.
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ALPHABET = string.ascii_letters + string.digits + "-_."
MAPPING = ClaimMapping.parse("scope", (), "sub")


def verifier(
    *entries: Mapping[str, Any], skew_s: float = 30, now: Callable[[], float] = time.time
) -> TokenVerifier:
    """A verifier whose issuer has these keys, by default one for RSA."""

    async def fetch(_address: str) -> dict[str, Any]:
        return key_set(*(entries or [entry(rsa_key())]))

    issuer = Issuer(ISSUER, 3600, fetch=fetch)
    return TokenVerifier(issuer, TokenRules(AUDIENCE, skew_s, MAPPING), now)


async def refusal_of(token: str, *entries: Mapping[str, Any]) -> UnauthorizedError:
    with pytest.raises(UnauthorizedError) as raised:
        await verifier(*entries).verify(token)
    return raised.value


async def test_a_token_gives_the_name_and_the_scopes_of_its_bearer() -> None:
    bearer = await verifier().verify(signed(claims()))
    assert bearer.name == f"oidc:{SUBJECT}"
    assert bearer.scopes == {Scope.PREDICT}
    assert bearer.rate_limit_per_minute is None
    assert bearer.max_pending is None


SIGNERS: dict[str, Callable[[], PrivateKey]] = {
    **{f"{kind}{bits}": rsa_key for kind in ("RS", "PS") for bits in (256, 384, 512)},
    "ES256": lambda: ec_key("first", "P-256"),
    "ES384": lambda: ec_key("first", "P-384"),
    "ES512": lambda: ec_key("first", "P-521"),
    "EdDSA": ed_key,
}


def test_every_algorithm_that_is_allowed_is_asymmetric_and_tried_here() -> None:
    assert set(SIGNERS) == ALLOWED
    assert not any(name.startswith("HS") or name.lower() == "none" for name in ALLOWED)


@pytest.mark.parametrize("algorithm", sorted(ALLOWED))
async def test_every_allowed_algorithm_is_accepted_with_a_key_of_its_kind(algorithm: str) -> None:
    key = SIGNERS[algorithm]()
    bearer = await verifier(entry(key)).verify(signed(claims(), key, algorithm))
    assert bearer.name == f"oidc:{SUBJECT}"


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt", None])
async def test_the_types_of_access_tokens_are_accepted(kind: str | None) -> None:
    # PyJWT leaves the type out if it is empty.
    token = signed(claims(), typ=kind) if kind else signed(claims(), typ="")
    assert (await verifier().verify(token)).name == f"oidc:{SUBJECT}"


async def test_one_of_several_audiences_is_enough() -> None:
    token = signed(claims(aud=["account", AUDIENCE]))
    assert (await verifier().verify(token)).name == f"oidc:{SUBJECT}"


@pytest.mark.parametrize(
    "times",
    [
        {"exp": -100},
        {"nbf": 100},
        {"iat": 100},
    ],
    ids=lambda times: next(iter(times)),
)
async def test_clocks_may_differ_by_as_much_as_is_set(times: dict[str, int]) -> None:
    now = int(time.time())
    token = signed(claims(**{name: now + offset for name, offset in times.items()}))
    assert (await verifier(skew_s=300).verify(token)).name == f"oidc:{SUBJECT}"
    with pytest.raises(UnauthorizedError):
        await verifier(skew_s=0).verify(token)


def in_an_hour() -> int:
    return int(time.time()) + 3600


def an_hour_ago() -> int:
    return int(time.time()) - 3600


FORGED: dict[str, tuple[Callable[[], str], Unauthorized]] = {
    "no algorithm": (
        lambda: assembled({"alg": "none", "kid": "first"}, json.dumps(claims()).encode()),
        Unauthorized.ALGORITHM_REFUSED,
    ),
    "no algorithm, in other letters": (
        lambda: assembled({"alg": "nOnE", "kid": "first"}, json.dumps(claims()).encode()),
        Unauthorized.ALGORITHM_REFUSED,
    ),
    "algorithm left out": (
        lambda: assembled({"kid": "first"}, json.dumps(claims()).encode(), lambda _text: b"x"),
        Unauthorized.ALGORITHM_REFUSED,
    ),
    "algorithm is a list": (
        lambda: assembled({"alg": ["RS256"], "kid": "first"}, b"{}", lambda _text: b"x"),
        Unauthorized.ALGORITHM_REFUSED,
    ),
    "HMAC with the public key as PEM": (
        lambda: with_hmac(public_pem(rsa_key())),
        Unauthorized.ALGORITHM_REFUSED,
    ),
    "HMAC with the public key as published": (
        lambda: with_hmac(json.dumps(entry(rsa_key())).encode()),
        Unauthorized.ALGORITHM_REFUSED,
    ),
    "another key under the same id": (
        lambda: signed(claims(), rsa_key("forger")),
        Unauthorized.WRONG_SIGNATURE,
    ),
    "a key of its own in the header": (
        lambda: signed(claims(), rsa_key("forger"), jwk=entry(rsa_key("forger"))),
        Unauthorized.WRONG_SIGNATURE,
    ),
    "an address of keys in the header": (
        lambda: signed(claims(), rsa_key("forger"), jku="http://127.0.0.1:9/keys"),
        Unauthorized.WRONG_SIGNATURE,
    ),
    "an address of certificates in the header": (
        lambda: signed(claims(), rsa_key("forger"), x5u="http://127.0.0.1:9/chain"),
        Unauthorized.WRONG_SIGNATURE,
    ),
    "certificates in the header": (
        lambda: signed(claims(), rsa_key("forger"), x5c=[encoded(public_pem(rsa_key("forger")))]),
        Unauthorized.WRONG_SIGNATURE,
    ),
    "algorithm within the algorithm": (
        lambda: assembled({"alg": {"alg": "RS256"}, "kid": "first"}, b"{}", lambda _text: b"x"),
        Unauthorized.ALGORITHM_REFUSED,
    ),
    "two algorithms, the last of which is none": (
        lambda: with_header('{"alg":"RS256","alg":"none","kid":"first"}'),
        Unauthorized.ALGORITHM_REFUSED,
    ),
    "two algorithms, the first of which is none": (
        lambda: with_header('{"alg":"none","alg":"RS256","kid":"first"}'),
        Unauthorized.WRONG_SIGNATURE,
    ),
    "content that is not encoded": (
        lambda: with_header('{"alg":"RS256","kid":"first","b64":false}'),
        Unauthorized.MALFORMED,
    ),
    "a token within the token": (
        lambda: raw_signed(json.dumps(signed(claims())).encode()),
        Unauthorized.MALFORMED,
    ),
    "expires at no number": (
        lambda: raw_signed(json.dumps(claims(exp=float("nan"))).encode()),
        Unauthorized.MALFORMED,
    ),
    **{
        f"key id is {name}": (
            lambda value=value: assembled(  # type: ignore[misc]
                {"alg": "RS256", "kid": value}, json.dumps(claims()).encode(), lambda _text: b"x"
            ),
            reason,
        )
        for name, value, reason in (
            ("empty", "", Unauthorized.UNKNOWN_SIGNING_KEY),
            ("a path", "../../../etc/passwd", Unauthorized.UNKNOWN_SIGNING_KEY),
            ("an address", "http://127.0.0.1:9/keys", Unauthorized.UNKNOWN_SIGNING_KEY),
            ("a statement", "x' OR '1'='1", Unauthorized.UNKNOWN_SIGNING_KEY),
            ("in capitals", "FIRST", Unauthorized.UNKNOWN_SIGNING_KEY),
            ("with a line break", "first\n", Unauthorized.UNKNOWN_SIGNING_KEY),
            ("with a zero", "first\x00", Unauthorized.UNKNOWN_SIGNING_KEY),
            ("half a character", "\ud800", Unauthorized.UNKNOWN_SIGNING_KEY),
            ("endless", "x" * 257, Unauthorized.MALFORMED),
            ("a number", 1, Unauthorized.MALFORMED),
            ("a list", ["first"], Unauthorized.MALFORMED),
            ("an object", {"first": 1}, Unauthorized.MALFORMED),
        )
    },
    "content changed": (
        lambda: with_other_content(signed(claims()), claims(scope="lentigo:admin")),
        Unauthorized.WRONG_SIGNATURE,
    ),
    "signature taken away": (
        lambda: signed(claims()).rpartition(".")[0] + ".",
        Unauthorized.WRONG_SIGNATURE,
    ),
    "signature of another algorithm": (
        lambda: signed(claims(), ec_key("forger"), "ES256"),
        Unauthorized.ALGORITHM_REFUSED,
    ),
    "unknown key": (
        lambda: signed(claims(), rsa_key("forger"), kid="second"),
        Unauthorized.UNKNOWN_SIGNING_KEY,
    ),
    "no key id": (lambda: signed(claims(), kid=None), Unauthorized.MALFORMED),
    "an extension that must be understood": (
        lambda: assembled(
            {"alg": "RS256", "kid": "first", "crit": ["exp"], "exp": 1},
            json.dumps(claims()).encode(),
            lambda _text: b"x",
        ),
        Unauthorized.MALFORMED,
    ),
    "a token for logging out": (lambda: signed(claims(), typ="logout+jwt"), Unauthorized.MALFORMED),
    "expired": (lambda: signed(claims(exp=an_hour_ago())), Unauthorized.EXPIRED),
    "not yet valid": (lambda: signed(claims(nbf=in_an_hour())), Unauthorized.NOT_YET_VALID),
    "issued in the future": (lambda: signed(claims(iat=in_an_hour())), Unauthorized.NOT_YET_VALID),
    "another audience": (lambda: signed(claims(aud="pacs")), Unauthorized.WRONG_AUDIENCE),
    "part of the audience": (lambda: signed(claims(aud="lent")), Unauthorized.WRONG_AUDIENCE),
    "no audience in the list": (lambda: signed(claims(aud=[])), Unauthorized.MISSING_CLAIM),
    "another issuer": (
        lambda: signed(claims(iss="https://login.example/realms/other")),
        Unauthorized.WRONG_ISSUER,
    ),
    "issuer with a slash more": (
        lambda: signed(claims(iss=ISSUER + "/")),
        Unauthorized.WRONG_ISSUER,
    ),
    **{
        f"without {claim}": (
            lambda claim=claim: signed(claims(**{claim: None})),  # type: ignore[misc]
            Unauthorized.MISSING_CLAIM,
        )
        for claim in ("iss", "aud", "exp", "iat", "sub")
    },
    "subject is empty": (lambda: signed(claims(sub="")), Unauthorized.MISSING_CLAIM),
    "subject is a number": (lambda: signed(claims(sub=7)), Unauthorized.MALFORMED),
    "expires never": (
        lambda: raw_signed(json.dumps(claims(exp=float("inf"))).encode()),
        Unauthorized.MALFORMED,
    ),
    "expiry is no number": (lambda: signed(claims(exp="soon")), Unauthorized.MALFORMED),
    "expiry is a list": (lambda: signed(claims(exp=[1])), Unauthorized.MALFORMED),
    "too long": (lambda: signed(claims(junk="x" * MAX_CHARACTERS)), Unauthorized.TOO_LONG),
    "a hundred kilobytes": (lambda: "a." + "b" * 102_400 + ".c", Unauthorized.TOO_LONG),
    "no token": (lambda: "x", Unauthorized.MALFORMED),
    "five parts, so encrypted": (lambda: "a.b.c.d.e", Unauthorized.MALFORMED),
    "header is no JSON": (lambda: f"{encoded(b'{')}.e30.AA", Unauthorized.MALFORMED),
    "header is a list": (lambda: f"{encoded(b'[]')}.e30.AA", Unauthorized.MALFORMED),
    "header is nested without end": (
        lambda: f"{encoded(b'[' * 9000)}.e30.AA",
        Unauthorized.MALFORMED,
    ),
    "content is no JSON": (lambda: raw_signed(b"{"), Unauthorized.MALFORMED),
    "content is a list": (lambda: raw_signed(b"[]"), Unauthorized.MALFORMED),
    "content is nested without end": (lambda: raw_signed(b"[" * 9000), Unauthorized.MALFORMED),
    "line break in it": (lambda: signed(claims()) + "\n", Unauthorized.MALFORMED),
    "letters that are none of ASCII": (lambda: "é.é.é", Unauthorized.MALFORMED),
}


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_token_is_refused_with_its_reason(name: str) -> None:
    make, reason = FORGED[name]
    token = make()
    error = await refusal_of(token)
    assert error.reason is reason
    assert error.key is None
    # What it says goes into a header and a document, and nothing of the token does.
    assert str(error).isascii()
    assert '"' not in str(error)
    assert "\\" not in str(error)
    assert not any(len(part) > 3 and part in str(error) for part in token.split("."))


@pytest.mark.parametrize("number", [0, P256_ORDER], ids=["zeros", "the order of the curve"])
async def test_a_signature_that_fits_any_content_is_refused(number: int) -> None:
    """Libraries that forgot to look at its numbers took it for every key (CVE-2022-21449)."""
    signature = number.to_bytes(32, "big") * 2
    header = {"alg": "ES256", "kid": "first"}
    token = assembled(header, json.dumps(claims()).encode(), lambda _text: signature)
    assert (await refusal_of(token, entry(ec_key()))).reason is Unauthorized.WRONG_SIGNATURE


async def test_a_token_that_is_changed_anywhere_is_refused() -> None:
    checks, chosen = verifier(entry(ed_key())), random.Random(7)
    token = signed(claims(), ed_key(), "EdDSA")
    # Some bits of the last character stand for nothing.
    for _ in range(500):
        place = chosen.randrange(len(token) - 1)
        other = chosen.choice([each for each in ALPHABET if each != token[place]])
        with pytest.raises(UnauthorizedError):
            await checks.verify(token[:place] + other + token[place + 1 :])
    assert (await checks.verify(token)).name == f"oidc:{SUBJECT}"


async def test_a_key_is_used_with_the_algorithm_alone_that_its_issuer_names() -> None:
    token = signed(claims(), rsa_key(), "PS256")
    error = await refusal_of(token, entry(rsa_key(), alg="RS256"))
    assert error.reason is Unauthorized.ALGORITHM_REFUSED


async def test_a_secret_that_the_issuer_publishes_by_mistake_checks_nothing() -> None:
    secret = {"kty": "oct", "k": encoded(b"secret" * 6), "kid": "first", "alg": "HS256"}
    error = await refusal_of(with_hmac(b"secret" * 6), secret)
    assert error.reason is Unauthorized.ALGORITHM_REFUSED


async def test_the_signature_of_a_token_that_comes_again_is_not_computed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checks = verifier()
    token = signed(claims())
    assert checks.known(token) is None
    first = await checks.verify(token)
    monkeypatch.delattr(jwt, "decode")
    assert await checks.verify(token) == first
    assert checks.known(token) == first
    assert checks.known(token[:-1]) is None


async def test_a_token_that_was_accepted_once_is_refused_after_its_end() -> None:
    now = time.time()
    checks = verifier(skew_s=0, now=lambda: now)
    token = signed(claims(exp=int(now) + 3600))
    await checks.verify(token)
    now += 3500
    assert checks.known(token) is not None
    now += 200
    assert checks.known(token) is None


async def test_of_many_bearers_only_the_latest_are_remembered() -> None:
    checks = verifier(entry(ed_key()))
    tokens = [signed(claims(sub=f"s{number}"), ed_key(), "EdDSA") for number in range(1030)]
    for token in tokens:
        await checks.verify(token)
    assert [checks.known(token) is not None for token in tokens] == [False] * 6 + [True] * 1024


async def test_a_time_that_no_clock_shows_is_an_end_like_any_other() -> None:
    token = raw_signed(json.dumps(claims()).replace("}", f', "exp": {10**400}}}').encode())
    assert (await verifier().verify(token)).name == f"oidc:{SUBJECT}"
