"""Checks that a version is what somebody signed: OpenSSF Model Signing with an elliptic curve.

`model.sig` is a Sigstore bundle (v0.3) with a DSSE envelope. Its payload is an in-toto statement
with the SHA-256 of every file of the version. The format is that of
https://github.com/ossf/model-signing-spec, and the trainer writes it with the library of that
project. This module reads it with `cryptography` alone: the library and its dependencies would
take the slim image past its bound. `cryptography` is imported where it is used, as in
`audit.signing`.

The statement is compared with the manifest, whose check sums are compared with every byte that an
engine loads. So nothing is loaded that was not signed.
"""

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from lentigo_contract.errors import UntrustedVersionError
from lentigo_contract.repository.layout import MANIFEST_NAME, SIGNATURE_NAME
from lentigo_contract.repository.store import StoredVersion
from lentigo_contract.system.files import open_plain, read_start
from lentigo_inference.errors import ModelKeyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
_BUNDLE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
_STATEMENT: Final = "https://in-toto.io/Statement/v1"
_PREDICATE: Final = "https://model_signing/signature/v1.0"

# A thousand files with long names take less. Whoever can write to the volume must not be able to
# fill our memory.
_MAX_BUNDLE_BYTES: Final = 4 * 2**20
_MAX_KEY_BYTES: Final = 2**16

_PEM: Final = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)

# Bits of the curve, and the hash that goes with it.
_HASHES: Final = {256: "SHA256", 384: "SHA384", 521: "SHA512"}

_SIGN: Final = "Sign the version with `lentigo-train sign`, or unset LENTIGO_MODEL_KEY."


@dataclass(frozen=True, slots=True)
class SignatureCheck:
    """What is known of a version's signature.

    Attributes:
        state: `verified` by a key of LENTIGO_MODEL_KEY; `unverified` if there is a signature and
            no key to check it with; `unsigned`.
        key: fingerprint of the key that verified it.
    """

    state: Literal["verified", "unverified", "unsigned"]
    key: str | None = None


def check_signature(stored: StoredVersion, keys: "ModelKeys | None") -> SignatureCheck:
    """Check the signature of an opened version, if there are keys to check it with.

    Raises:
        UntrustedVersionError: there are keys, and none of them signed the version as it is.
    """
    if keys is not None:
        return SignatureCheck("verified", keys.verify(stored))
    signed = (stored.path / SIGNATURE_NAME).exists()
    return SignatureCheck("unverified" if signed else "unsigned")


class ModelKeys:
    """The public keys whose signatures count."""

    def __init__(self, path: Path) -> None:
        """Read them from a PEM file, which has one or several.

        Raises:
            ModelKeyError: the file cannot be read, or has no public key on P-256, P-384 or P-521.
        """
        self._keys = {fingerprint(key): key for key in _read_keys(path)}

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Of all keys, in the order of the file."""
        return tuple(self._keys)

    def verify(self, stored: StoredVersion) -> str:
        """Check that one of the keys signed a version, and every file as it is.

        Args:
            stored: as the store opened it, so its files are what its manifest says.

        Returns:
            The fingerprint of the key.

        Raises:
            UntrustedVersionError: it is not signed, not by one of the keys, or has changed since;
                the message names the file.
        """
        where = stored.path / SIGNATURE_NAME
        key, payload = self._signed_content(where)
        _require_as_signed(stored, _digests(payload, where))
        return key

    def _signed_content(self, where: Path) -> tuple[str, bytes]:
        """Return the fingerprint of the key that signed a bundle, and what it signed."""
        envelope, named, payload, signature = _envelope(where)
        candidates: dict[str, EllipticCurvePublicKey | None] = (
            {**self._keys} if named is None else {named: self._keys.get(named)}
        )
        # The type is part of what is signed, so another one does not verify either.
        if envelope["payloadType"] != PAYLOAD_TYPE:
            raise UntrustedVersionError(
                f"{where} signs a payload of the type {envelope['payloadType'][:100]!r}, not "
                f"an in-toto statement. {_SIGN}"
            )
        for name, key in candidates.items():
            if key is None:
                raise UntrustedVersionError(
                    f"{where} was made with the key {name[:64]}, which is none of "
                    f"LENTIGO_MODEL_KEY ({', '.join(self._keys)}). Add that key if you trust it, "
                    "or sign the version with one of yours."
                )
            if _is_signed(key, signature, payload):
                return name, payload
        raise UntrustedVersionError(
            f"{where} was changed, or not made with the key that it names: the signature does not "
            f"verify. {_SIGN}"
        )


def fingerprint(key: "EllipticCurvePublicKey") -> str:
    """Return the SHA-256 of a public key's PEM text, in hex, which bundles name it by.

    `openssl pkey -pubin -in FILE | sha256sum` gives the same.
    """
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - see the module

    pem = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(pem).hexdigest()


def _read_keys(path: Path) -> "list[EllipticCurvePublicKey]":
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - see the module
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    try:
        content = read_start(path, _MAX_KEY_BYTES)
    except OSError as error:
        raise ModelKeyError(
            f"The key of LENTIGO_MODEL_KEY, {path}, cannot be read: {error.strerror}. Name the PEM "
            "file of the public key with which versions are signed."
        ) from error
    if content is None:
        raise ModelKeyError(f"{path} is not a file. LENTIGO_MODEL_KEY names one.")
    if b"PRIVATE KEY" in content:
        raise ModelKeyError(
            f"{path} holds a private key, and the service must not have it. Give it the public "
            "one: openssl pkey -in PRIVATE -pubout -out PUBLIC"
        )
    keys = []
    for pem in _PEM.findall(content):
        try:
            key: object = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.key_size not in _HASHES:
            raise ModelKeyError(
                f"{path} holds a key that is not on the curve P-256, P-384 or P-521. Make one with "
                "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out PRIVATE"
            )
        keys.append(key)
    if not keys:
        raise ModelKeyError(
            f"{path} holds no public key in PEM. Make it with openssl pkey -in PRIVATE -pubout "
            "-out PUBLIC"
        )
    return keys


def _is_signed(key: "EllipticCurvePublicKey", signature: bytes, payload: bytes) -> bool:
    """Check a signature over the pre-authentication encoding of DSSE v1."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see the module
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    head = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode()
    chosen: hashes.HashAlgorithm = getattr(hashes, _HASHES[key.curve.key_size])()
    try:
        key.verify(signature, head + payload, ec.ECDSA(chosen))
    except InvalidSignature:
        return False
    return True


def _envelope(where: Path) -> tuple[dict[str, Any], str | None, bytes, bytes]:
    """Return the envelope of a bundle, the fingerprint that it names, payload and signature."""
    content = _read_bundle(where)
    try:
        bundle = json.loads(content)
        if bundle["mediaType"] != _BUNDLE:
            raise ValueError(f"its media type is {str(bundle['mediaType'])[:100]!r}")
        envelope = bundle["dsseEnvelope"]
        named = bundle["verificationMaterial"]["publicKey"].get("hint") or None
        (signature,) = envelope["signatures"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        signed = base64.b64decode(signature["sig"], validate=True)
        if not isinstance(envelope["payloadType"], str):
            raise TypeError("the type of its payload is no text")
        return envelope, None if named is None else str(named), payload, signed
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UntrustedVersionError(
            f"{where} is no whole bundle of a signature with a key ({_told(error)}). {_SIGN}"
        ) from error


def _read_bundle(where: Path) -> bytes:
    try:
        with BufferedReader(open_plain(where)) as file:
            content = file.read(_MAX_BUNDLE_BYTES + 1)
    except FileNotFoundError as error:
        raise UntrustedVersionError(
            f"{where.parent} is not signed: it has no {SIGNATURE_NAME}. {_SIGN}"
        ) from error
    except OSError as error:
        raise UntrustedVersionError(
            f"{where} cannot be read ({error.strerror or error}). Let this user read it."
        ) from error
    if len(content) > _MAX_BUNDLE_BYTES:
        raise UntrustedVersionError(f"{where} has more than {_MAX_BUNDLE_BYTES:,} bytes. {_SIGN}")
    return content


def _digests(payload: bytes, where: Path) -> dict[str, str]:
    """Return the SHA-256 of every file that a signed statement lists, in hex, by relative path."""
    try:
        statement = json.loads(payload)
        if (statement["_type"], statement["predicateType"]) != (_STATEMENT, _PREDICATE):
            raise ValueError("it is no statement of a model's files")
        resources = statement["predicate"]["resources"]
        if statement["predicate"]["serialization"]["method"] != "files":
            raise ValueError("it lists no whole files")
        if any(each["algorithm"] != "sha256" for each in resources):
            raise ValueError("it has digests other than SHA-256")
        digests = {str(each["name"]): str(each["digest"]) for each in resources}
        if len(digests) != len(resources):
            raise ValueError("it lists a file twice")
        (subject,) = statement["subject"]
        whole = hashlib.sha256(b"".join(map(bytes.fromhex, digests.values()))).hexdigest()
        if subject["digest"]["sha256"] != whole:
            raise ValueError("its digest of the whole is not that of its files")
        return digests
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UntrustedVersionError(
            f"{where} is signed, but does not list the files of a model ({_told(error)}). {_SIGN}"
        ) from error


def _require_as_signed(stored: StoredVersion, signed: dict[str, str]) -> None:
    """Check that a version has the signed files and no other; raises UntrustedVersionError."""
    files = stored.manifest.files
    held = {name: record.sha256 for name, record in files.items()}
    held[MANIFEST_NAME] = stored.manifest_sha256
    # With a file its line in the manifest changes, and it is the file that should be named.
    for name in sorted(held.keys() | signed.keys(), key=lambda name: (name == MANIFEST_NAME, name)):
        if name not in signed:
            flaw = "was added since the version was signed"
        elif name not in held:
            flaw = "was signed, and is missing"
        elif held[name] != signed[name]:
            flaw = "has changed since it was signed; its SHA-256 does not match"
        else:
            continue
        raise UntrustedVersionError(
            f"{stored.path}: {name!r} {flaw}. Publish the version again, or sign it again if you "
            "trust what it is now."
        )


def _told(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {error}"
    return str(error).partition("\n")[0][:200]
