"""What checking a token costs, on one core: the bound is a millisecond.

    .venv/bin/python benchmarks/tokens.py [--checks 2000]

Tokens of a usual size, signed with each kind of key. `first` is a token that was not seen before,
so its signature is computed; `again` is the same token with the next request. What the event loop
needs for it is all that is measured: no HTTP, and no request to the issuer. Times are of the
processor, to which other work on the machine adds little.
"""

import argparse
import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from lentigo_inference.errors import UnauthorizedError
from lentigo_inference.security.oidc.claims import ClaimMapping
from lentigo_inference.security.oidc.issuer import Issuer
from lentigo_inference.security.oidc.tokens import TokenRules, TokenVerifier

ISSUER: Final = "https://login.example/realms/ward"
AUDIENCE: Final = "lentigo"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

BOUND_MS: Final = 1.0
_WARM_UP: Final = 50

# As an issuer of a hospital writes them, with twenty roles.
CLAIMS: Final[Mapping[str, Any]] = {
    "iss": ISSUER,
    "aud": ["account", AUDIENCE],
    "azp": "pacs-bridge",
    "scope": "openid profile lentigo:predict",
    "realm_access": {"roles": [f"role-of-some-length-{number}" for number in range(20)]},
}


def main() -> None:
    """Measure every kind of key, and what a refusal costs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--checks", type=int, default=2000, help="of each kind")
    checks = parser.parse_args().checks
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    for name, make, algorithm in KINDS:
        asyncio.run(measure(name, make(), algorithm, checks))
    asyncio.run(measure_refusals(checks))


KINDS: Final[list[tuple[str, Callable[[], PrivateKey], str]]] = [
    ("RS256, 2,048 bits", lambda: rsa.generate_private_key(65_537, 2048), "RS256"),
    ("RS256, 4,096 bits", lambda: rsa.generate_private_key(65_537, 4096), "RS256"),
    ("PS256, 2,048 bits", lambda: rsa.generate_private_key(65_537, 2048), "PS256"),
    ("ES256", lambda: ec.generate_private_key(ec.SECP256R1()), "ES256"),
    ("ES512", lambda: ec.generate_private_key(ec.SECP521R1()), "ES512"),
    ("EdDSA", ed25519.Ed25519PrivateKey.generate, "EdDSA"),
]


async def measure(name: str, key: PrivateKey, algorithm: str, checks: int) -> None:
    """Print what the first check of a token costs, and the next."""
    verifier = await prepared(key, algorithm)
    tokens = [token(key, algorithm, number) for number in range(checks + _WARM_UP)]
    first = [await milliseconds(verifier, each) for each in tokens][_WARM_UP:]
    again = [await milliseconds(verifier, tokens[-1]) for _ in range(checks)]
    print(f"{name}, {len(tokens[0]):,} characters: first {told(first)}; again {told(again)}")


async def measure_refusals(checks: int) -> None:
    """Print what tokens cost that are refused without computing a signature."""
    key = ed25519.Ed25519PrivateKey.generate()
    verifier = await prepared(key, "EdDSA")
    header, content, _signature = token(key, "EdDSA", 0).split(".")
    unsigned = jwt.PyJWS().encode(b"{}", "", "none", headers={"kid": "first"})
    for name, text in (
        ("a hundred kilobytes", f"{header}.{'A' * 102_400}.A"),
        ("16,384 characters of nothing", "A" * 16_384),
        ("no algorithm", unsigned),
        ("a wrong signature", f"{header}.{content}.{'A' * 86}"),
    ):
        times = [await milliseconds(verifier, text) for _ in range(checks)]
        print(f"refused, {name}: {told(times)}")


async def prepared(key: PrivateKey, algorithm: str) -> TokenVerifier:
    """Make a verifier that knows the key already."""
    kinds = {"R": "RSAAlgorithm", "P": "RSAAlgorithm", "E": "ECAlgorithm"}
    kind = "OKPAlgorithm" if algorithm == "EdDSA" else kinds[algorithm[0]]
    entry = getattr(jwt.algorithms, kind).to_jwk(key.public_key(), as_dict=True)
    entry = {**entry, "kid": "first", "key_ops": ["verify"]}

    async def fetch(_address: str) -> dict[str, Any]:
        return {"keys": [entry]}

    issuer = Issuer(ISSUER, 3600, fetch=fetch)
    await issuer.refresh()
    mapping = ClaimMapping.parse("scope", (), "sub")
    return TokenVerifier(issuer, TokenRules(AUDIENCE, 30, mapping))


def token(key: PrivateKey, algorithm: str, number: int) -> str:
    """Sign a token of its own bearer."""
    now = int(time.time())
    claims = {**CLAIMS, "sub": f"bearer-{number}", "iat": now, "exp": now + 3600}
    return jwt.encode(claims, key, algorithm, headers={"kid": "first"})


async def milliseconds(verifier: TokenVerifier, text: str) -> float:
    """Check a token, and return how long it took."""
    started = time.thread_time()
    with suppress(UnauthorizedError):
        await verifier.verify(text)
    return 1000 * (time.thread_time() - started)


def told(times: list[float]) -> str:
    """Return median and 99th percentile in words."""
    ordered = sorted(times)
    median, late = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
    held = "within" if median <= BOUND_MS else "ABOVE"
    return f"median {median:.3f} ms ({held} {BOUND_MS:g} ms), p99 {late:.3f} ms"


if __name__ == "__main__":
    main()
