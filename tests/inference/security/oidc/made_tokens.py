"""Keys, key sets and tokens, good and forged, made here."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ISSUER: Final = "https://login.example/realms/ward"
AUDIENCE: Final = "lentigo"
SUBJECT: Final = "6f1c2d7e"

CURVES: Final[dict[str, ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Ed25519PrivateKey


@cache
def rsa_key(name: str = "first", bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key for each name; making one takes a tenth of a second."""
    assert name
    return rsa.generate_private_key(65_537, bits)


@cache
def ec_key(name: str = "first", curve: str = "P-256") -> ec.EllipticCurvePrivateKey:
    assert name
    return ec.generate_private_key(CURVES[curve])


@cache
def ed_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def entry(key: PrivateKey, key_id: str = "first", **changes: Any) -> dict[str, Any]:
    """An entry of a key set, with the public part of a key."""
    algorithm: Any = jwt.algorithms.OKPAlgorithm
    if isinstance(key, rsa.RSAPrivateKey):
        algorithm = jwt.algorithms.RSAAlgorithm
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        algorithm = jwt.algorithms.ECAlgorithm
    public = algorithm.to_jwk(key.public_key(), as_dict=True)
    public.pop("key_ops", None)
    return changed({**public, "kid": key_id, "use": "sig"}, changes)


def key_set(*entries: Mapping[str, Any]) -> dict[str, Any]:
    return {"keys": [dict(each) for each in entries]}


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good token; None takes one away."""
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": SUBJECT,
        "iat": now - 10,
        "nbf": now - 10,
        "exp": now + 3600,
        "scope": "openid lentigo:predict",
    }
    return changed(good, changes)


def changed(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in {**values, **changes}.items() if each is not None}


def signed(
    content: Mapping[str, Any],
    key: PrivateKey | None = None,
    algorithm: str = "RS256",
    **header: Any,
) -> str:
    """A token that is signed as the standard says."""
    head = changed({"alg": algorithm, "typ": "at+jwt", "kid": "first"}, header)
    return jwt.encode(dict(content), key or rsa_key(), algorithm, headers=head)


def assembled(
    header: Mapping[str, Any], content: bytes, sign: Callable[[bytes], bytes] = lambda _text: b""
) -> str:
    """A token with whatever a forger likes in it."""
    text = f"{encoded(json.dumps(dict(header)).encode())}.{encoded(content)}"
    return f"{text}.{encoded(sign(text.encode()))}"


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def with_hmac(secret: bytes) -> str:
    """A good token's claims, with the public key taken for the secret of an HMAC."""
    header = {"alg": "HS256", "typ": "JWT", "kid": "first"}
    content = json.dumps(claims()).encode()
    return assembled(header, content, lambda text: hmac.digest(secret, text, hashlib.sha256))


def public_pem(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def raw_signed(content: bytes, key: rsa.RSAPrivateKey | None = None) -> str:
    """A token whose content need not be JSON, signed by RS256 all the same."""
    return jwt.PyJWS().encode(content, key or rsa_key(), "RS256", headers={"kid": "first"})


def with_header(header: str) -> str:
    """A token with a header as it stands, and a signature by nobody."""
    return f"{encoded(header.encode())}.{encoded(json.dumps(claims()).encode())}.{encoded(b'x')}"


def with_other_content(token: str, content: Mapping[str, Any]) -> str:
    header, _payload, signature = token.split(".")
    return f"{header}.{encoded(json.dumps(dict(content)).encode())}.{signature}"
