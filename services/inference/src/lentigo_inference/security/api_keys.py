"""API keys: made here, kept as salted hashes, told apart by the part that is no secret.

A key reads `lentigo_<id>_<secret>`. The id finds the line in the file, so that a request costs one
hash and not one for every key. The secret has 256 random bits, so nobody guesses it; scrypt stands
between a copy of the file and whoever would try (RFC 7914).

The file of API keys: read whole, written whole, and by one writer at a time.
"""

import fcntl
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from lentigo_contract.system.files import write_atomically
from lentigo_inference.errors import KeyFileError

_PREFIX: Final = "lentigo"
_ID_BYTES: Final = 6
_SECRET_BYTES: Final = 32
_SALT_BYTES: Final = 16

# RFC 7914: 4 MiB and about 10 ms. More would protect a secret of 256 random bits no better, and
# would let whoever sends wrong keys keep a core busy.
_N, _R, _P = 2**12, 8, 1
_HASH_BYTES: Final = 32


class Scope(StrEnum):
    """What a key may be used for; none includes another."""

    PREDICT = "predict"
    ADMIN = "admin"
    METRICS = "metrics"


def _hex(text: str) -> str:
    bytes.fromhex(text)
    return text


Hex = Annotated[str, AfterValidator(_hex)]
KeyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class KeyRecord(BaseModel):
    """What is kept of one key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Hex
    name: KeyName
    scopes: frozenset[Scope] = Field(min_length=1)
    salt: Hex
    hash: Hex
    created: AwareDatetime

    def matches(self, secret: str) -> bool:
        """Tell whether this is the secret; takes about 10 ms, so never on the event loop."""
        hashed = _hashed(secret, bytes.fromhex(self.salt))
        return hmac.compare_digest(hashed, bytes.fromhex(self.hash))


class KeyRing(BaseModel):
    """The content of a key file; ids and names are unique."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    keys: tuple[KeyRecord, ...] = ()

    @model_validator(mode="after")
    def _unique(self) -> "KeyRing":
        for attribute in ("id", "name"):
            values = [getattr(key, attribute) for key in self.keys]
            if len(set(values)) < len(values):
                raise ValueError(f"two keys have the same {attribute}")
        return self

    def find(self, key_id: str) -> KeyRecord | None:
        """Give the key with that id."""
        return next((key for key in self.keys if key.id == key_id), None)


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """A key as a client sent it, in its two parts. Its text never reaches a log."""

    id: str
    secret: str

    def __repr__(self) -> str:
        return f"PresentedKey({self.id!r})"

    @classmethod
    def parse(cls, text: str) -> "PresentedKey | None":
        """Take a key apart; None, if it is none of ours."""
        parts = text.split("_", 2)
        if len(parts) != 3 or parts[0] != _PREFIX or not all(parts) or len(text) > 256:
            return None
        return cls(parts[1], parts[2])


def make_key(name: str, scopes: frozenset[Scope]) -> tuple[KeyRecord, str]:
    """Make a key: what to keep, and the text that its owner gets, once.

    Raises:
        pydantic.ValidationError: the name is impossible, or there is no scope.
    """
    key_id, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
    salt = secrets.token_bytes(_SALT_BYTES)
    record = KeyRecord(
        id=key_id,
        name=name,
        scopes=scopes,
        salt=salt.hex(),
        hash=_hashed(secret, salt).hex(),
        created=datetime.now(UTC).replace(microsecond=0),
    )
    return record, f"{_PREFIX}_{key_id}_{secret}"


def _hashed(secret: str, salt: bytes) -> bytes:
    content = secret.encode("utf-8", "surrogateescape")
    return hashlib.scrypt(content, salt=salt, n=_N, r=_R, p=_P, dklen=_HASH_BYTES)


_MAX_BYTES: Final = 2**20


def read_keys(path: Path) -> KeyRing:
    """Read a key file.

    Raises:
        KeyFileError: it is missing, unreadable or damaged.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise KeyFileError(
            f"The key file {path} cannot be read: {error.strerror}. Make one with "
            "`lentigo-inference keys add NAME --scope predict`, or unset LENTIGO_KEY_FILE."
        ) from error
    try:
        if len(content) > _MAX_BYTES:
            raise ValueError
        return KeyRing.model_validate_json(content)
    except ValueError as error:
        # What is wrong with it is not repeated: it holds hashes.
        raise KeyFileError(
            f"The key file {path} is damaged. Restore it, or make the keys anew with "
            "`lentigo-inference keys add`."
        ) from error


def add_key(path: Path, record: KeyRecord) -> None:
    """Add a key; the file is made if it is missing.

    Raises:
        KeyFileError: a key of that name exists, or the file cannot be read or written.
    """

    def added(ring: KeyRing) -> KeyRing:
        try:
            return KeyRing(keys=(*ring.keys, record))
        except ValidationError as error:
            raise KeyFileError(
                f'There is a key named "{record.name}". Choose another name, or remove that one '
                "first."
            ) from error

    _change(path, added)


def remove_key(path: Path, name: str) -> None:
    """Remove a key.

    Raises:
        KeyFileError: there is none of that name, or the file cannot be read or written.
    """

    def removed(ring: KeyRing) -> KeyRing:
        left = tuple(key for key in ring.keys if key.name != name)
        if len(left) == len(ring.keys):
            raise KeyFileError(
                f'There is no key named "{name}". `keys list` names those there are.'
            )
        return KeyRing(keys=left)

    _change(path, removed)


def _change(path: Path, change: Callable[[KeyRing], KeyRing]) -> None:
    try:
        with _locked(path.parent):
            ring = change(read_keys(path) if path.exists() else KeyRing())
            write_atomically(path, ring.model_dump_json(indent=2).encode() + b"\n", mode=0o600)
    except OSError as error:
        raise KeyFileError(f"The key file {path} cannot be written: {error.strerror}.") from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other writers out. The folder is locked, because the file itself is replaced."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        # What was renamed in it shall survive a power cut.
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
