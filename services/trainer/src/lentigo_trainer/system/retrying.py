"""Asking a server again when it, or the way to it, fails for a while."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

import httpx

from lentigo_trainer.errors import DownloadError

Result = TypeVar("Result")

TRANSIENT_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed later (RFC 9110, 6585, 8470)."""

PROGRESS_BYTES: Final = 1_000_000
"""Bytes after which an attempt counts as progress and failures are counted anew."""


class InterruptedTransferError(DownloadError):
    """An attempt failed in a way that may pass.

    Attributes:
        gained: bytes this attempt brought.
        retry_after: seconds the server asked to wait, None when it asked for nothing.
    """

    def __init__(self, message: str, gained: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.gained = gained
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often to try in a row without progress, and how long to wait between.

    Attributes:
        attempts: how many attempts in a row may fail.
        first_pause: seconds before the second attempt; each further pause is twice as long.
        longest_pause: seconds that no pause exceeds, whatever the server asks for.
        sleep: waits some seconds.
    """

    attempts: int = 6
    first_pause: float = 1.0
    longest_pause: float = 60.0
    sleep: Callable[[float], None] = time.sleep

    def pause(self, failures: int, asked: float | None) -> float:
        """Seconds to wait after some failures in a row, at least what the server asked for."""
        own: float = self.first_pause * 2 ** (failures - 1)
        return min(max(own, asked or 0.0), self.longest_pause)


def retry(attempt: Callable[[], Result], policy: RetryPolicy, say: Callable[[str], None]) -> Result:
    """Call `attempt` until it succeeds, pausing after each `InterruptedTransferError`.

    Raises:
        DownloadError: too many attempts in a row failed, or one failed for good.
    """
    failures = 0
    while True:
        try:
            return attempt()
        except InterruptedTransferError as broken:
            failures = 1 if broken.gained >= PROGRESS_BYTES else failures + 1
            if failures >= policy.attempts:
                raise DownloadError(
                    f"{broken} Gave up after {failures} attempts. What has arrived is kept: run "
                    "the same command again to go on from there."
                ) from broken
            pause = policy.pause(failures, broken.retry_after)
            say(f"{broken} Trying again in {pause:.0f} s.")
        policy.sleep(pause)


def require_status(response: httpx.Response, *wanted: int) -> None:
    """Let the wanted statuses pass.

    Raises:
        InterruptedTransferError: the server is busy or broken for now.
        DownloadError: it refuses for good.
    """
    status = response.status_code
    if status in wanted:
        return
    named = f"{response.request.url.host} answered {status} {response.reason_phrase}".rstrip()
    if status in TRANSIENT_STATUSES:
        raise InterruptedTransferError(f"{named}.", retry_after=retry_after(response))
    # Harvard's firewall answers programs it takes for robots with an empty 202 and this header.
    if status in (202, 403, 405) and "x-amzn-waf-action" in response.headers:
        raise DownloadError(
            f"{named}: its firewall wants to see a browser. Download the files by hand from "
            "https://doi.org/10.7910/DVN/DBW86T into the folder, or try from another network."
        )
    raise DownloadError(f"{named} to {response.request.url}. Check the server's address.")


@contextmanager
def connection_errors(server: str) -> Iterator[None]:
    """Turn a connection that fails or breaks off into an `InterruptedTransferError`."""
    try:
        yield
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.TooManyRedirects) as error:
        raise DownloadError(
            f"{server} is no usable address ({error}). Give one like https://dataverse.harvard.edu."
        ) from error
    except (httpx.TransportError, httpx.DecodingError) as error:
        raise InterruptedTransferError(
            f"The connection to {server} failed ({str(error) or type(error).__name__})."
        ) from error


def retry_after(response: httpx.Response) -> float | None:
    """Give the seconds that a busy server asks to wait, None where it does not say."""
    asked = response.headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() else None
