"""The keys of the issuer: fetched in the background, kept while it is away, asked for anew."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import structlog

from lentigo_inference.errors import (
    IssuerError,
    IssuerUnavailableError,
    Unauthorized,
    UnauthorizedError,
)
from lentigo_inference.security.oidc.documents import fetch_key_set, require_safe_address
from lentigo_inference.security.oidc.key_set import SigningKey, read_key_set

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

# A key that the issuer no longer publishes is refused after that.
_INTERVAL_S: Final = 300.0

# For an unknown key the issuer is asked at once, but anybody can make up a token with one.
_PAUSE_S: Final = 10.0

Fetch = Callable[[str], Awaitable[Mapping[str, Any]]]
"""Returns the key set of an issuer; raises IssuerError."""


class Issuer:
    """Knows the issuer's keys, and asks for them every five minutes.

    While the issuer is away, the keys that are known keep working for `max_age_s`. A token with an
    unknown key has the issuer asked at once, at most every ten seconds; requests that come
    meanwhile wait for the same answer. Used on the event loop only.
    """

    def __init__(
        self,
        address: str,
        max_age_s: float,
        *,
        fetch: Fetch = fetch_key_set,
        clock: Callable[[], float] = time.monotonic,
        observe: Callable[[bool], None] | None = None,
    ) -> None:
        """Set the issuer; asks nothing yet.

        Args:
            address: of the issuer, as it writes it itself.
            max_age_s: seconds from the last answer of the issuer after which its keys are no longer
                trusted.
            fetch: asks the issuer.
            clock: returns seconds and never goes back.
            observe: is told of every answer, and of every one that did not come.

        Raises:
            IssuerError: the address is not safe.
        """
        require_safe_address(address)
        self.address = address
        self._max_age_s = max_age_s
        self._fetch = fetch
        self._clock = clock
        self._observe = observe or (lambda _succeeded: None)
        self._keys: dict[str, SigningKey] = {}
        self._read_at: float | None = None
        self._asked_at: float | None = None
        self._asking: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._last_error: str | None = None
        self._sets = 0

    @property
    def key_sets(self) -> int:
        """How many different key sets there were; what was checked with an earlier one is void."""
        return self._sets

    @property
    def usable(self) -> bool:
        """Whether the keys are known, and not too old."""
        return self._read_at is not None and self._clock() - self._read_at <= self._max_age_s

    async def find(self, key_id: str) -> SigningKey:
        """Return the key with an id.

        Raises:
            UnauthorizedError: the issuer has no such key.
            IssuerUnavailableError: there is no such key here, and the issuer does not answer.
        """
        key = self._known(key_id)
        if key is None and self._may_ask():
            await self.refresh()
            key = self._known(key_id)
        if key is not None:
            return key
        if self._last_error is not None or not self.usable:
            raise IssuerUnavailableError(
                "The token cannot be checked: its issuer does not answer, and its keys are not "
                "known here. Try again after the given delay.",
                self._pause_left(),
            )
        raise UnauthorizedError(
            "The token is signed with a key that its issuer does not publish. Get a new token.",
            Unauthorized.UNKNOWN_SIGNING_KEY,
        )

    async def refresh(self) -> None:
        """Ask the issuer for its keys, or wait for the answer that is on its way. Never raises."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(), name="lentigo-issuer")
        # A client that leaves must not take the answer from the others.
        await asyncio.shield(self._asking)

    def start(self) -> None:
        """Ask at once and then every five minutes, until `stop`."""
        self._keeping = asyncio.create_task(self._keep_fresh(), name="lentigo-issuer-watch")

    async def stop(self) -> None:
        """Ask no more, and give up what is asked now."""
        for task in (self._keeping, self._asking):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _keep_fresh(self) -> None:
        while True:
            await self.refresh()
            await asyncio.sleep(_INTERVAL_S)

    def _known(self, key_id: str) -> SigningKey | None:
        return self._keys.get(key_id) if self.usable else None

    def _may_ask(self) -> bool:
        return self._asking is not None or self._pause_left() <= 0

    def _pause_left(self) -> float:
        """Return the seconds until the issuer may be asked again."""
        return 0.0 if self._asked_at is None else self._asked_at + _PAUSE_S - self._clock()

    async def _ask(self) -> None:
        self._asked_at = self._clock()
        try:
            document = await self._fetch(self.address)
            # Large sets take milliseconds.
            keys = await asyncio.to_thread(read_key_set, document)
        except IssuerError as error:
            self._note_failure(str(error))
        except Exception:  # noqa: BLE001 - the cause may be gone the next time
            _log.exception("unforeseen error")
            self._note_failure("unforeseen error")
        else:
            self._note_keys(keys, len(document["keys"]) - len(keys))
        finally:
            self._asking = None

    def _note_failure(self, reason: str) -> None:
        self._observe(False)
        if reason != self._last_error:
            event = "issuer unreachable, earlier keys stay" if self._keys else "issuer unreachable"
            _log.error(event, issuer=self.address, reason=reason)
        self._last_error = reason

    def _note_keys(self, keys: dict[str, SigningKey], passed_over: int) -> None:
        self._observe(True)
        self._read_at = self._clock()
        if self._last_error is not None:
            _log.info("issuer reachable again", issuer=self.address)
        self._last_error = None
        # Keys of `cryptography` compare by their numbers.
        if keys != self._keys or not self._sets:
            self._sets += 1
            log = _log.info if keys else _log.warning
            log("issuer keys read", issuer=self.address, keys=len(keys), passed_over=passed_over)
        self._keys = keys
