"""An HTTP connection to a running service, with an API key and patience while it is busy."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx

from lentigo_trainer.errors import RemoteServiceError
from lentigo_trainer.system.retrying import RetryPolicy, retry_after

KEY_VARIABLE: Final = "LENTIGO_API_KEY"

_TIMEOUT: Final = httpx.Timeout(120, connect=10)
_BUSY: Final = (429, 503)


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection to a service, for several threads.

    Attributes:
        client: HTTP client for its address.
        patience: how often to retry while the service is busy.
    """

    client: httpx.Client
    patience: RetryPolicy

    def request(self, method: str, path: str, data: bytes | None = None) -> httpx.Response:
        """Send a request, and retry while the service is busy.

        Raises:
            RemoteServiceError: no response, or busy for too long.
        """
        headers = {} if data is None else {"Content-Type": "application/octet-stream"}
        failures = 0
        while True:
            try:
                response = self.client.request(method, path, content=data, headers=headers)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise RemoteServiceError(
                    f"{self.client.base_url} does not respond "
                    f"({str(error) or type(error).__name__}). Start the service there, "
                    "or give --url its address, such as http://127.0.0.1:8000."
                ) from error
            if response.status_code not in _BUSY:
                return response
            failures += 1
            if failures >= self.patience.attempts:
                raise RemoteServiceError(
                    f"{self.client.base_url} was busy {failures} times in a row "
                    f"({detail_of(response)}) Evaluate when it has less to do."
                )
            self.patience.sleep(self.patience.pause(failures, retry_after(response)))

    def values(self, response: httpx.Response) -> dict[str, Any]:
        """Return the members of a JSON object.

        Raises:
            RemoteServiceError: an error, a refused key, or no JSON object.
        """
        if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise RemoteServiceError(
                f"{self.client.base_url} needs an API key of the scope predict: "
                f"{detail_of(response)} Set one in the environment variable {KEY_VARIABLE}."
            )
        if response.status_code != httpx.codes.OK:
            raise RemoteServiceError(
                f"{response.request.url} answered {response.status_code}: {detail_of(response)}"
            )
        try:
            found = response.json()
        except ValueError as error:
            raise self.not_ours("the response is not JSON") from error
        if not isinstance(found, dict):
            raise self.not_ours("the response is not a JSON object")
        return found

    def not_ours(self, what: str) -> RemoteServiceError:
        """Return the error for a response that is not of our service."""
        return RemoteServiceError(
            f"{self.client.base_url} does not respond as Lentigo does: {what}. Check --url."
        )


def detail_of(response: httpx.Response) -> str:
    """Return the detail of a problem, or the name of its status."""
    try:
        problem = response.json()
    except ValueError:
        problem = None
    detail = problem.get("detail") if isinstance(problem, Mapping) else None
    return str(detail or response.reason_phrase)


@contextmanager
def connected_to(
    url: str, key: str | None, patience: RetryPolicy | None = None
) -> Iterator[Connection]:
    """Open a connection to a service.

    Args:
        url: its address, such as `http://127.0.0.1:8000`.
        key: API key of the scope `predict`; None if it needs none.
        patience: how often to retry while the service is busy.

    Raises:
        RemoteServiceError: not an address.
    """
    headers = {} if key is None else {"X-API-Key": key}
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise _invalid_address(url) from error
    if address.scheme not in ("http", "https") or not address.host:
        raise _invalid_address(url)
    with httpx.Client(base_url=address, headers=headers, timeout=_TIMEOUT) as client:
        yield Connection(client, patience or RetryPolicy())


def _invalid_address(url: str) -> RemoteServiceError:
    return RemoteServiceError(
        f"{url!r} is not the address of a service. Give --url one like http://127.0.0.1:8000."
    )
