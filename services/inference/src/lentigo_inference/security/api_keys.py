"""API keys: made here, kept as SHA-256 digests in a key file, found by their public id.

A key reads `lentigo_<id>_<secret>`. The id finds the entry in the file, so a request costs one
digest whatever the number of keys. The secret has 256 random bits: nobody guesses it, also not from
a copy of the file, so a slow password hash would protect nothing.

The key file is JSON. Schema 3 has expiry and limits; a file without them is written in schema 2,
which earlier releases read. Schema 1, which kept scrypt hashes (RFC 7914), is still read. Its
entries stay as they are until they are removed, because only the secret could turn them into the
new form.
"""

import fcntl
import hashlib
import hmac
import json
import os
import secrets
import stat
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

_SCHEMA_VERSION: Final = 2
_SCHEMA_WITH_LIMITS: Final = 3
_READABLE_SCHEMAS: Final = (1, 2, 3)
_MAX_FILE_BYTES: Final = 2**20


class Scope(StrEnum):
    """What a key may be used for; none includes another."""

    PREDICT = "predict"
    FEEDBACK = "feedback"
    ADMIN = "admin"
    METRICS = "metrics"


def _hex(text: str) -> str:
    bytes.fromhex(text)
    return text


Hex = Annotated[str, AfterValidator(_hex)]
KeyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class KeyLimits(BaseModel):
    """What a key may be limited by besides its scopes; None is no limit of its own.

    Attributes:
        expires: from when it is refused.
        rate_limit_per_minute: requests a minute, instead of those of the settings; 0 is no limit.
        max_pending: predictions under way at the same time, within its share of all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    expires: AwareDatetime | None = None
    rate_limit_per_minute: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    max_pending: Annotated[int, Field(ge=1, le=65_536)] | None = None

    @property
    def limited(self) -> bool:
        """Whether there is any."""
        return any(getattr(self, field) is not None for field in KeyLimits.model_fields)

    def has_expired(self, now: datetime) -> bool:
        """Return whether the key is refused at a time."""
        return self.expires is not None and self.expires <= now


class _Entry(KeyLimits):
    """What every entry of a key file has."""

    id: Hex
    name: KeyName
    scopes: frozenset[Scope] = Field(min_length=1)
    created: AwareDatetime


class Sha256Key(_Entry):
    """An entry of schema 2; `sha256` is the hex digest of the secret."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    def matches(self, secret: str) -> bool:
        """Check a secret, in the same time whatever differs."""
        return hmac.compare_digest(sha256_of(secret), bytes.fromhex(self.sha256))


class ScryptKey(_Entry):
    """An entry of schema 1: scrypt of the secret with n = 4096, r = 8, p = 1 and 32 bytes."""

    salt: Hex
    hash: Hex

    def matches(self, secret: str) -> bool:
        """Check a secret. Takes about 10 ms and 4 MiB, so never on the event loop."""
        hashed = hashlib.scrypt(
            _encoded(secret), salt=bytes.fromhex(self.salt), n=2**12, r=8, p=1, dklen=32
        )
        return hmac.compare_digest(hashed, bytes.fromhex(self.hash))


KeyRecord = Sha256Key | ScryptKey
"""What is kept of one key."""


class KeyRing(BaseModel):
    """The content of a key file; ids and names are unique."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1, 2, 3] = _SCHEMA_VERSION
    keys: tuple[KeyRecord, ...] = ()

    @model_validator(mode="after")
    def _unique(self) -> "KeyRing":
        for attribute in ("id", "name"):
            values = [getattr(key, attribute) for key in self.keys]
            if len(set(values)) < len(values):
                raise ValueError(f"two keys have the same {attribute}")
        return self

    def find(self, key_id: str) -> KeyRecord | None:
        """Return the key with that id."""
        return next((key for key in self.keys if key.id == key_id), None)

    def as_json(self) -> bytes:
        """Return the content of a key file, in the oldest schema that can hold it."""
        limited = any(key.limited for key in self.keys)
        version = _SCHEMA_WITH_LIMITS if limited else _SCHEMA_VERSION
        ring = self.model_copy(update={"schema_version": version})
        return ring.model_dump_json(indent=2, exclude_none=True).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """A key as a client sent it, in its two parts. The secret is never printed or logged."""

    id: str
    secret: str

    def __repr__(self) -> str:
        return f"PresentedKey({self.id!r})"

    @classmethod
    def parse(cls, text: str) -> "PresentedKey | None":
        """Split a key into its parts; None if the text is not one of our keys."""
        parts = text.split("_", 2)
        if len(parts) != 3 or parts[0] != _PREFIX or not all(parts) or len(text) > 256:
            return None
        return cls(parts[1], parts[2])


def make_key(
    name: str, scopes: frozenset[Scope], limits: KeyLimits | None = None
) -> tuple[KeyRecord, str]:
    """Make a key; without `limits` it has none of its own.

    Returns:
        The entry to keep, and the text of the key, which its owner gets once.

    Raises:
        pydantic.ValidationError: the name is not allowed, or there is no scope.
    """
    key_id, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
    record = Sha256Key(
        id=key_id,
        name=name,
        scopes=scopes,
        sha256=sha256_of(secret).hex(),
        created=datetime.now(UTC).replace(microsecond=0),
        **(limits or KeyLimits()).model_dump(),
    )
    return record, f"{_PREFIX}_{key_id}_{secret}"


def sha256_of(secret: str) -> bytes:
    """Return the digest by which the secret of a key is kept, 32 bytes."""
    return hashlib.sha256(_encoded(secret)).digest()


def _encoded(secret: str) -> bytes:
    return secret.encode("utf-8", "surrogateescape")


def read_keys(path: Path) -> KeyRing:
    """Read a key file.

    Raises:
        KeyFileError: it is missing, unreadable, writable for others, damaged or of an unknown
            schema.
    """
    try:
        with path.open("rb") as file:
            _require_private(path, os.fstat(file.fileno()).st_mode)
            content = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise KeyFileError(
            f"The key file {path} cannot be read: {error.strerror}. Make one with "
            "`lentigo-inference keys add NAME --scope predict`, or unset LENTIGO_KEY_FILE."
        ) from error
    try:
        if len(content) > _MAX_FILE_BYTES:
            raise ValueError
        _require_known_schema(path, content)
        return KeyRing.model_validate_json(content)
    except ValueError as error:
        # The cause is not repeated: the file holds digests.
        raise KeyFileError(
            f"The key file {path} is damaged. Restore it, or make new keys with "
            "`lentigo-inference keys add`."
        ) from error


def _require_private(path: Path, mode: int) -> None:
    """Others must not be able to add a key. They may read it: it has digests only."""
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise KeyFileError(
            f"Other users can change the key file {path} (mode {stat.S_IMODE(mode):04o}). Look at "
            f"its keys, and then take that away with `chmod go-w {path}`."
        )


def _require_known_schema(path: Path, content: bytes) -> None:
    document = json.loads(content)
    version = document.get("schema_version") if isinstance(document, dict) else None
    if isinstance(version, int) and version not in _READABLE_SCHEMAS:
        raise KeyFileError(
            f"The key file {path} has schema {version}, and this release reads 1, 2 and 3. "
            "Update lentigo-inference, or use a key file that this release wrote."
        )


def add_key(path: Path, record: KeyRecord) -> None:
    """Add a key; the file is made if it is missing.

    Raises:
        KeyFileError: a key of that name exists, or the file cannot be read or written.
    """

    def with_record(ring: KeyRing) -> KeyRing:
        try:
            return KeyRing(keys=(*ring.keys, record))
        except ValidationError as error:
            raise KeyFileError(
                f'There is a key named "{record.name}". Choose another name, or remove that one '
                "first."
            ) from error

    _change(path, with_record)


def remove_key(path: Path, name: str) -> None:
    """Remove a key.

    Raises:
        KeyFileError: no key has that name, or the file cannot be read or written.
    """

    def without_name(ring: KeyRing) -> KeyRing:
        remaining = tuple(key for key in ring.keys if key.name != name)
        if len(remaining) == len(ring.keys):
            raise KeyFileError(f'There is no key named "{name}". `keys list` shows all keys.')
        return KeyRing(keys=remaining)

    _change(path, without_name)


def _change(path: Path, change: Callable[[KeyRing], KeyRing]) -> None:
    try:
        with _locked(path.parent):
            ring = change(read_keys(path) if path.exists() else KeyRing())
            write_atomically(path, ring.as_json(), mode=0o600)
    except OSError as error:
        raise KeyFileError(f"The key file {path} cannot be written: {error.strerror}.") from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other writers out. We lock the folder, because the file itself is replaced."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        # The rename must survive a power cut.
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
