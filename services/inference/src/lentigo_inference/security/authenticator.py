"""Who a request comes from: keys checked against the file, which is read again when it changes."""

import asyncio
import hashlib
import hmac
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from lentigo_inference.errors import (
    ForbiddenError,
    KeyFileError,
    ServiceBusyError,
    UnauthorizedError,
)
from lentigo_inference.security.api_keys import KeyRecord, KeyRing, PresentedKey, Scope, read_keys

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

# Of the ten milliseconds that a key costs the first time.
_MAX_WAITING: Final = 32

_NO_KEY: Final = (
    "This needs an API key. Send it as `Authorization: Bearer KEY` or as `X-API-Key: KEY`."
)
_WRONG_KEY: Final = "This API key is not known here, or was removed. Ask for another."
_ADMIN_WITHOUT_KEYS: Final = (
    "This needs an admin key, and the service has no key file. Make one with `lentigo-inference "
    "keys add NAME --scope admin --file FILE` and start the service with LENTIGO_KEY_FILE=FILE."
)

_Stamp = tuple[int, int, int]


class Gatekeeper:
    """Tells by whose key a request comes, and whether that key may do what it asks.

    A key that proved right is remembered by a MAC under a secret of this process, so that it costs
    scrypt once and some microseconds after that. Comparisons take the same time whatever differs.
    What a clock can tell is whether an id is in the file; ids are no secret.
    """

    def __init__(self, path: Path | None) -> None:
        """Read the key file; without one everything but administration is open.

        Raises:
            KeyFileError: the file is missing, unreadable or damaged.
        """
        self._path = path
        self._stamp = None if path is None else _stamp(path)
        self._ring = KeyRing() if path is None else read_keys(path)
        self._trouble: str | None = None
        self._mac_key = secrets.token_bytes(32)
        self._proven: dict[KeyRecord, bytes] = {}
        self._hashing = ThreadPoolExecutor(1, thread_name_prefix="lentigo-keys")
        self._waiting = 0

    def refresh(self) -> None:
        """Read the file again if it has changed; one that is damaged leaves the keys as they are.

        Blocks; never raises for what is wrong with the file.
        """
        if self._path is None:
            return
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        try:
            ring = read_keys(self._path)
        except KeyFileError as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                _log.error("key file unreadable, earlier keys stay", reason=str(error))
            return
        self._trouble, self._stamp, self._ring = None, stamp, ring
        _log.info("key file read", keys=len(ring.keys))

    async def identify(self, presented: str | None, scope: Scope) -> str | None:
        """Give the name of the key; None without a key file.

        Args:
            presented: the key, if one was sent.
            scope: what it is needed for.

        Raises:
            UnauthorizedError: a key is needed, and this is none.
            ForbiddenError: the key, or the lack of a key file, does not allow this.
            ServiceBusyError: too many keys wait for being checked.
        """
        if self._path is None:
            if scope is Scope.ADMIN:
                raise ForbiddenError(_ADMIN_WITHOUT_KEYS)
            return None
        if not presented:
            raise UnauthorizedError(_NO_KEY)
        record = await self._record_of(presented)
        if record is None:
            raise UnauthorizedError(_WRONG_KEY)
        if scope not in record.scopes:
            raise ForbiddenError(
                f"This needs a key with the scope {scope}; yours has "
                f"{', '.join(sorted(record.scopes))}."
            )
        return record.name

    def close(self) -> None:
        """End the thread; what waits is dropped."""
        self._hashing.shutdown(wait=True, cancel_futures=True)

    def recognise(self, presented: str | None) -> str | None:
        """Give the name of a key that proved right before, at once; None for any other."""
        claim = self._claim(presented) if presented else None
        return claim.record.name if claim and self._is_proven(claim) else None

    async def _record_of(self, text: str) -> KeyRecord | None:
        claim = self._claim(text)
        if claim is None or self._is_proven(claim):
            return claim.record if claim else None
        ring = self._ring
        if not await self._matches(claim.record, claim.secret):
            return None
        self._proven = {known: its for known, its in self._proven.items() if known in ring.keys}
        self._proven[claim.record] = claim.mac
        return claim.record

    def _claim(self, text: str) -> "_Claim | None":
        key = PresentedKey.parse(text)
        record = self._ring.find(key.id) if key else None
        if key is None or record is None:
            return None
        mac = hmac.digest(self._mac_key, text.encode("utf-8", "surrogateescape"), hashlib.sha256)
        return _Claim(record, key.secret, mac)

    def _is_proven(self, claim: "_Claim") -> bool:
        # A record that was changed or removed is no longer the one that was proven.
        return hmac.compare_digest(claim.mac, self._proven.get(claim.record, b""))

    async def _matches(self, record: KeyRecord, secret: str) -> bool:
        if self._waiting >= _MAX_WAITING:
            raise ServiceBusyError("Too many API keys are being checked. Try again shortly.")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._hashing, record.matches, secret)
        finally:
            self._waiting -= 1


@dataclass(frozen=True, slots=True, repr=False)
class _Claim:
    """A key that was presented, and the record it would be; not printed, for it is secret."""

    record: KeyRecord
    secret: str
    mac: bytes


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns)
