"""The public keys of an issuer, read from its key set (RFC 7517, RFC 7518, RFC 8037).

A key is used with the algorithms of its own type alone, so a token cannot have an RSA key taken for
the secret of an HMAC (RFC 8725, section 2.1). Secrets (`oct`) are never read. PyJWT is imported
where it is used: most services have no issuer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lentigo_inference.errors import IssuerError

_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
# By the type and, if there are several, the curve of a key.
_ALGORITHMS: Final[Mapping[tuple[str, str | None], tuple[str, ...]]] = {
    ("RSA", None): _RSA,
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}

ALLOWED: Final = frozenset(name for names in _ALGORITHMS.values() for name in names)
"""Every algorithm that a token may be signed with. None is symmetric, and `none` is not there."""

MAX_KEYS: Final = 64
_MAX_KEY_ID: Final = 256

# Below, a key can be broken; above, checking a signature takes milliseconds. NIST SP 800-57.
_MIN_RSA_BITS: Final = 2048
_MAX_RSA_BITS: Final = 8192
_MAX_RSA_EXPONENT: Final = 2**32
# What a public key is made of; the rest, also a private part by mistake, is not looked at.
_MEMBERS: Final = ("kty", "crv", "n", "e", "x", "y")
_MAX_MEMBER: Final = 2048


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key, and the algorithms that it may be used with."""

    key: Any
    algorithms: tuple[str, ...]


def read_key_set(document: Mapping[str, Any]) -> dict[str, SigningKey]:
    """Return the keys of a key set that can check tokens, by their ids.

    Keys of other types, for encryption, too weak or without an id are left out. Takes milliseconds.

    Raises:
        IssuerError: it is no key set, or has too many keys.
    """
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise IssuerError("The issuer's key set has no list of keys.")
    if len(entries) > MAX_KEYS:
        raise IssuerError(
            f"The issuer's key set has {len(entries)} keys, and at most {MAX_KEYS} are read."
        )
    keys: dict[str, SigningKey] = {}
    for entry in entries:
        key = _read_key(entry) if isinstance(entry, dict) else None
        if key is not None:
            # Of two with the same id the first counts.
            keys.setdefault(entry["kid"], key)
    return keys


def _read_key(entry: Mapping[str, Any]) -> SigningKey | None:
    if not _is_for_signatures(entry):
        return None
    kind = entry.get("kty")
    curve = entry.get("crv") if kind != "RSA" else None
    if not isinstance(kind, str) or not isinstance(curve, str | None):
        return None
    algorithms = _ALGORITHMS.get((kind, curve), ())
    if "alg" in entry:
        algorithms = tuple(name for name in algorithms if name == entry["alg"])
    key = _public_key(entry) if algorithms else None
    return None if key is None else SigningKey(key, algorithms)


def _is_for_signatures(entry: Mapping[str, Any]) -> bool:
    """Return whether an entry has an id, and no mark that it is for something else."""
    key_id, operations = entry.get("kid"), entry.get("key_ops", ["verify"])
    return (
        isinstance(key_id, str)
        and 0 < len(key_id) <= _MAX_KEY_ID
        and entry.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
    )


def _public_key(entry: Mapping[str, Any]) -> Any:  # noqa: ANN401 - one of three classes
    """Return the key as `cryptography` has it; None if it is damaged, or too weak or too long."""
    import jwt.algorithms  # noqa: PLC0415 - see the module

    members = {name: entry[name] for name in _MEMBERS if name in entry}
    if not all(isinstance(each, str) and len(each) <= _MAX_MEMBER for each in members.values()):
        return None
    readers: dict[str, Any] = {
        "RSA": jwt.algorithms.RSAAlgorithm.from_jwk,
        "EC": jwt.algorithms.ECAlgorithm.from_jwk,
        "OKP": jwt.algorithms.OKPAlgorithm.from_jwk,
    }
    try:
        key = readers[members["kty"]](members)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if members["kty"] == "RSA" and not (
        _MIN_RSA_BITS <= key.key_size <= _MAX_RSA_BITS
        and key.public_numbers().e < _MAX_RSA_EXPONENT
    ):
        return None
    return key
