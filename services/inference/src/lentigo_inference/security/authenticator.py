"""Which API key or token a request comes with, and whether that allows what it asks."""

import asyncio
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

import structlog

from lentigo_inference.errors import (
    ForbiddenError,
    KeyFileError,
    Unauthorized,
    UnauthorizedError,
)
from lentigo_inference.security.api_keys import (
    KeyRecord,
    KeyRing,
    PresentedKey,
    Scope,
    ScryptKey,
    read_keys,
    sha256_of,
)
from lentigo_inference.security.identity import Identity
from lentigo_inference.security.oidc.tokens import TokenVerifier

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

_NO_KEY: Final = (
    "This needs an API key. Send it as `Authorization: Bearer KEY` or as `X-API-Key: KEY`."
)
_NOTHING_SENT: Final = (
    "This needs a token of the issuer, or an API key. Send it as `Authorization: Bearer TOKEN`."
)
_WRONG_KEY: Final = "This API key is not known here, or was removed. Ask for another."
_EXPIRED_KEY: Final = "This API key has expired. Ask for another."
_ADMIN_WITHOUT_KEYS: Final = (
    "This needs an admin key, and the service has no key file. Make one with `lentigo-inference "
    "keys add NAME --scope admin --file FILE` and start the service with LENTIGO_KEY_FILE=FILE."
)

_Stamp = tuple[int, int, int, int]


def _now() -> datetime:
    return datetime.now(UTC)


class Authenticator:
    """Checks tokens, and keys against the key file; `refresh` reads that again if it has changed.

    Secrets are compared in constant time. Timing can reveal whether an id is in the file; ids are
    not secret.

    An entry of schema 1 costs scrypt, about 10 ms in a thread, until its key has proved right once.
    From then on its SHA-256 is kept in memory. One scrypt runs at a time for each entry; requests
    that need one wait for it, and none is refused for that.
    """

    def __init__(
        self,
        path: Path | None,
        tokens: TokenVerifier | None = None,
        now: Callable[[], datetime] = _now,
    ) -> None:
        """Read the key file; without one, and without tokens, all but administration is open.

        Args:
            path: the key file.
            tokens: checks tokens, if there is an issuer.
            now: the time, by which keys expire.

        Raises:
            KeyFileError: the file cannot be used; see `read_keys`.
        """
        self._path = path
        self._tokens = tokens
        self._now = now
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

    async def authenticate(self, presented: str | None) -> Identity | None:
        """Return who sent a key or a token; None if everybody is let in.

        Raises:
            UnauthorizedError: neither was sent, or it is not accepted.
            IssuerUnavailableError: a token was sent that cannot be checked now.
        """
        if self._path is None and self._tokens is None:
            return None
        if not presented:
            message = _NO_KEY if self._tokens is None else _NOTHING_SENT
            raise UnauthorizedError(message, Unauthorized.NO_CREDENTIALS)
        key = PresentedKey.parse(presented)
        if key is None and self._tokens is not None:
            return await self._tokens.verify(presented)
        record = self._ring.find(key.id) if key else None
        if key is None or record is None or not await self._matches(record, key.secret):
            raise UnauthorizedError(_WRONG_KEY, Unauthorized.UNKNOWN_KEY)
        if record.has_expired(self._now()):
            raise UnauthorizedError(_EXPIRED_KEY, Unauthorized.EXPIRED_KEY, record.name)
        return _identity(record)

    @staticmethod
    def authorize(identity: Identity | None, scope: Scope) -> None:
        """Check that a caller has a scope.

        Args:
            identity: what `authenticate` returned.
            scope: what the request needs.

        Raises:
            ForbiddenError: the key or token, or the lack of a key file, does not allow this.
        """
        if identity is None:
            if scope is Scope.ADMIN:
                raise ForbiddenError(_ADMIN_WITHOUT_KEYS)
            return
        if scope not in identity.scopes:
            raise ForbiddenError(
                f"This needs a key or token with the scope {scope}; yours has "
                f"{', '.join(sorted(identity.scopes)) or 'none'}.",
                scope,
            )

    def known(self, presented: str | None) -> Identity | None:
        """Return at once who sent a key or a token.

        None for an unknown one, and for one that needs scrypt or was not checked before.
        """
        key = PresentedKey.parse(presented) if presented else None
        if key is None:
            return self._tokens.known(presented) if self._tokens and presented else None
        record = self._ring.find(key.id)
        if record is None or (isinstance(record, ScryptKey) and record not in self._proven):
            return None
        if record.has_expired(self._now()) or not self._matches_sha256(record, key.secret):
            return None
        return _identity(record)

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


def _identity(record: KeyRecord) -> Identity:
    return Identity(record.name, record.scopes, record.rate_limit_per_minute, record.max_pending)
