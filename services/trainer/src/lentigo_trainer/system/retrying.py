"""Retries of requests to a server, when it or the connection fails for a while."""

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
"""Bytes after which an attempt counts as progress, so that counting failures starts again."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often to retry without progress, and how long to wait between attempts.

    Attributes:
        attempts: number of failures in a row after which to give up.
        first_pause: seconds before the second attempt; each further pause is twice as long.
        longest_pause: upper limit of a pause in seconds, whatever the server asks for.
        sleep: waits for a number of seconds.
    """

    attempts: int = 6
    first_pause: float = 1.0
    longest_pause: float = 60.0
    sleep: Callable[[float], None] = time.sleep

    def pause(self, failures: int, requested: float | None) -> float:
        """Return the seconds to wait after some failures in a row; at least what was requested."""
        pause: float = self.first_pause * 2 ** (failures - 1)
        return min(max(pause, requested or 0.0), self.longest_pause)


class InterruptedTransferError(DownloadError):
    """An attempt failed in a way that can be temporary.

    Attributes:
        gained: bytes that the attempt transferred.
        retry_after: seconds that the server asked to wait; None if it did not ask.
    """

    def __init__(self, message: str, gained: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.gained = gained
        self.retry_after = retry_after


def retry(attempt: Callable[[], Result], policy: RetryPolicy, say: Callable[[str], None]) -> Result:
    """Call `attempt` until it succeeds, with a pause after each `InterruptedTransferError`.

    Raises:
        DownloadError: too many attempts in a row failed, or one failed permanently.
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
                    "the same command again to resume."
                ) from broken
            pause = policy.pause(failures, broken.retry_after)
            say(f"{broken} Trying again in {pause:.0f} s.")
        policy.sleep(pause)


def require_status(response: httpx.Response, *expected: int) -> None:
    """Check the status of a response.

    Raises:
        InterruptedTransferError: the server is busy or failing for now.
        DownloadError: the server refuses.
    """
    status = response.status_code
    if status in expected:
        return
    reply = f"{response.request.url.host} answered {status} {response.reason_phrase}".rstrip()
    if status in TRANSIENT_STATUSES:
        raise InterruptedTransferError(f"{reply}.", retry_after=retry_after(response))
    # Harvard's firewall answers suspected robots with an empty 202 and this header.
    if status in (202, 403, 405) and "x-amzn-waf-action" in response.headers:
        raise DownloadError(
            f"{reply}: its firewall only accepts browsers. Download the files by hand from "
            "https://doi.org/10.7910/DVN/DBW86T into the folder, or try from another network."
        )
    raise DownloadError(f"{reply} to {response.request.url}. Check the server's address.")


@contextmanager
def connection_errors(server: str) -> Iterator[None]:
    """Turn the error of a failed or broken connection into an `InterruptedTransferError`."""
    try:
        yield
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.TooManyRedirects) as error:
        raise DownloadError(
            f"{server} is not a valid address ({error}). Use one like https://dataverse.harvard.edu."
        ) from error
    except (httpx.TransportError, httpx.DecodingError) as error:
        raise InterruptedTransferError(
            f"The connection to {server} failed ({str(error) or type(error).__name__})."
        ) from error


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds that a busy server asks to wait; None if it does not say."""
    seconds = response.headers.get("Retry-After", "")
    return float(seconds) if seconds.isdecimal() else None
