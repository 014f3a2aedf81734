"""The Ed25519 key that signs checkpoints (RFC 8032), in PEM files.

The service has the private key; whoever verifies needs only the public one, so an auditor can check
a trail and cannot forge one. `cryptography` is imported where it is used: most services have no
trail, and `--help` has no need of it.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lentigo_inference.errors import AuditFileError

_MAX_KEY_BYTES: Final = 2**14


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs with a private key.

    Attributes:
        key_id: names the key: 16 hex digits of the SHA-256 of the public key.
        sign: returns the signature of some bytes, 64 bytes.
    """

    key_id: str
    sign: Callable[[bytes], bytes]


class Verifier:
    """Checks signatures with the public keys that are trusted."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """Read keys from PEM files, of public keys or of private ones.

        Raises:
            AuditFileError: a file cannot be read, or holds no Ed25519 key.
        """
        self._keys = {key_id(raw): raw for raw in map(_read_public, paths)}

    def knows(self, key: object) -> bool:
        """Return whether a key is among the trusted ones, by its id."""
        return key in self._keys

    def is_signed(self, key: object, content: bytes, signature: bytes) -> bool:
        """Return whether the key with that id signed the content."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see the module
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
            Ed25519PublicKey,
        )

        raw = self._keys.get(str(key))
        if raw is None:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(raw).verify(signature, content)
        except InvalidSignature:
            return False
        return True


def key_id(raw: bytes) -> str:
    """Return the id of a public key, given its 32 bytes."""
    return hashlib.sha256(raw).hexdigest()[:16]


def make_key(path: Path) -> Path:
    """Make a key: the private one at `path`, mode 0600, and the public one beside it.

    Returns:
        The file of the public key: `path` with `.pub` after it.

    Raises:
        AuditFileError: a file is there already, or cannot be written.
    """
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - see the module
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PrivateKey,
    )

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    public_path = path.with_name(f"{path.name}.pub")
    try:
        _write_new(path, private, 0o600)
        _write_new(public_path, public, 0o644)
    except FileExistsError as error:
        raise AuditFileError(
            f"{error.filename} is there already. A key that has signed records must be kept, so "
            "name another file."
        ) from error
    except OSError as error:
        raise AuditFileError(f"The key cannot be written to {path}: {error.strerror}.") from error
    return public_path


def read_signer(path: Path) -> Signer:
    """Read a private key.

    Raises:
        AuditFileError: it is missing, others may read or change it, or it is no Ed25519 key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PrivateKey,
    )

    content, mode = _read(path)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise AuditFileError(
            f"Other users can read or change the audit key {path} (mode {stat.S_IMODE(mode):04o}), "
            "so anybody could have signed with it. Make another with `lentigo-inference audit "
            "make-key FILE`."
        )
    key = _private_key(content)
    if not isinstance(key, Ed25519PrivateKey):
        raise AuditFileError(
            f"{path} holds no private Ed25519 key. Make one with `lentigo-inference audit make-key "
            "FILE`."
        )
    return Signer(key_id(key.public_key().public_bytes_raw()), key.sign)


def _read_public(path: Path) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    content, _mode = _read(path)
    key: object = _private_key(content)
    if isinstance(key, Ed25519PrivateKey):
        return key.public_key().public_bytes_raw()
    try:
        key = load_pem_public_key(content)
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise AuditFileError(
            f"{path} holds no Ed25519 key. Name the file that `lentigo-inference audit make-key` "
            "wrote; it ends with .pub."
        )
    return key.public_bytes_raw()


def _private_key(content: bytes) -> object:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        return load_pem_private_key(content, password=None)
    except (ValueError, TypeError):
        # TypeError: it is encrypted.
        return None


def _read(path: Path) -> tuple[bytes, int]:
    """Return the content and the mode of a key file."""
    try:
        with path.open("rb") as file:
            return file.read(_MAX_KEY_BYTES), os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise AuditFileError(
            f"The audit key {path} cannot be read: {error.strerror}. Make one with "
            "`lentigo-inference audit make-key FILE`."
        ) from error


def _write_new(path: Path, content: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
