"""Which API key a request comes with, and whether that key allows what it asks."""

import asyncio
import hmac
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

import structlog

from lentigo_inference.errors import ForbiddenError, KeyFileError, UnauthorizedError
from lentigo_inference.security.api_keys import (
    KeyRecord,
    KeyRing,
    PresentedKey,
    Scope,
    ScryptKey,
    read_keys,
    sha256_of,
)

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

_NO_KEY: Final = (
    "This needs an API key. Send it as `Authorization: Bearer KEY` or as `X-API-Key: KEY`."
)
_WRONG_KEY: Final = "This API key is not known here, or was removed. Ask for another."
_ADMIN_WITHOUT_KEYS: Final = (
    "This needs an admin key, and the service has no key file. Make one with `lentigo-inference "
    "keys add NAME --scope admin --file FILE` and start the service with LENTIGO_KEY_FILE=FILE."
)

_Stamp = tuple[int, int, int, int]


class Authenticator:
    """Checks keys against the key file, which `refresh` reads again when it has changed.

    Secrets are compared in constant time. Timing can reveal whether an id is in the file; ids are
    not secret.

    An entry of schema 1 costs scrypt, about 10 ms in a thread, until its key has proved right once.
    From then on its SHA-256 is kept in memory. One scrypt runs at a time for each entry; requests
    that need one wait for it, and none is refused for that.
    """

    def __init__(self, path: Path | None) -> None:
        """Read the key file; without one everything but administration is open.

        Raises:
            KeyFileError: the file cannot be used; see `read_keys`.
        """
        self._path = path
        self._stamp = None if path is None else _stamp(path)
        self._ring = KeyRing() if path is None else read_keys(path)
        self._last_error: str | None = None
        # By entries, so that one that was changed or removed is no longer found.
        self._proven: dict[ScryptKey, bytes] = {}
        # One for each entry, so that wrong secrets for one do not hold up the others.
        self._scrypt_turns: WeakKeyDictionary[ScryptKey, asyncio.Lock] = WeakKeyDictionary()

    def refresh(self) -> None:
        """Read the file again if it has changed; if it cannot be used, the earlier keys stay.

        Blocks, and is safe from another thread. Never raises for what is wrong with the file.
        """
        if self._path is None:
            return
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        try:
            ring = read_keys(self._path)
        except KeyFileError as error:
            if str(error) != self._last_error:
                self._last_error = str(error)
                _log.error("key file unreadable, earlier keys stay", reason=str(error))
            return
        self._last_error, self._stamp, self._ring = None, stamp, ring
        _log.info("key file read", keys=len(ring.keys))

    async def authenticate(self, presented: str | None) -> KeyRecord | None:
        """Return the entry of the key that was sent; None without a key file.

        Raises:
            UnauthorizedError: no key was sent, or it is not in the file.
        """
        if self._path is None:
            return None
        if not presented:
            raise UnauthorizedError(_NO_KEY)
        key = PresentedKey.parse(presented)
        record = self._ring.find(key.id) if key else None
        if key is None or record is None or not await self._matches(record, key.secret):
            raise UnauthorizedError(_WRONG_KEY)
        return record

    @staticmethod
    def authorize(key: KeyRecord | None, scope: Scope) -> None:
        """Check that a key has a scope.

        Args:
            key: what `authenticate` returned.
            scope: what the request needs.

        Raises:
            ForbiddenError: the key, or the lack of a key file, does not allow this.
        """
        if key is None:
            if scope is Scope.ADMIN:
                raise ForbiddenError(_ADMIN_WITHOUT_KEYS)
            return
        if scope not in key.scopes:
            raise ForbiddenError(
                f"This needs a key with the scope {scope}; yours has "
                f"{', '.join(sorted(key.scopes))}."
            )

    def name_of(self, presented: str | None) -> str | None:
        """Return the name of a key at once; None for an unknown one, or one that needs scrypt."""
        key = PresentedKey.parse(presented) if presented else None
        record = self._ring.find(key.id) if key else None
        if key is None or record is None:
            return None
        if isinstance(record, ScryptKey) and record not in self._proven:
            return None
        return record.name if self._matches_sha256(record, key.secret) else None

    async def _matches(self, record: KeyRecord, secret: str) -> bool:
        if isinstance(record, ScryptKey) and record not in self._proven:
            async with self._scrypt_turns.setdefault(record, asyncio.Lock()):
                # Another request may have proved it while this one waited.
                if record not in self._proven:
                    return await self._matches_scrypt(record, secret)
        return self._matches_sha256(record, secret)

    def _matches_sha256(self, record: KeyRecord, secret: str) -> bool:
        if isinstance(record, ScryptKey):
            return hmac.compare_digest(sha256_of(secret), self._proven[record])
        return record.matches(secret)

    async def _matches_scrypt(self, record: ScryptKey, secret: str) -> bool:
        if not await asyncio.to_thread(record.matches, secret):
            return False
        known = self._ring.keys
        self._proven = {entry: digest for entry, digest in self._proven.items() if entry in known}
        self._proven[record] = sha256_of(secret)
        return True


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_mode)
