"""The way to a running service: asked again while it is busy, its errors told in our words."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx

from lentigo_contract.errors import RemoteServiceError
from lentigo_trainer.system.retrying import Patience, seconds_asked

KEY_VARIABLE: Final = "LENTIGO_API_KEY"

_TIMEOUT: Final = httpx.Timeout(120, connect=10)
_BUSY: Final = (429, 503)


@dataclass(frozen=True, slots=True)
class Connection:
    """A service that can be asked, from several threads.

    Attributes:
        client: speaks to its address.
        patience: how often to ask a busy service again.
    """

    client: httpx.Client
    patience: Patience

    def request(self, method: str, path: str, data: bytes | None = None) -> httpx.Response:
        """Ask, again and again while the service says that it is busy.

        Raises:
            RemoteServiceError: no answer, or busy for too long.
        """
        headers = {} if data is None else {"Content-Type": "application/octet-stream"}
        failures = 0
        while True:
            try:
                answer = self.client.request(method, path, content=data, headers=headers)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise RemoteServiceError(
                    f"{self.client.base_url} does not answer ({str(error) or type(error).__name__})"
                    ". Start the service there, or give --url its address, such as "
                    "http://127.0.0.1:8000."
                ) from error
            if answer.status_code not in _BUSY:
                return answer
            failures += 1
            if failures >= self.patience.attempts:
                raise RemoteServiceError(
                    f"{self.client.base_url} was busy {failures} times in a row "
                    f"({detail_of(answer)}) Measure when it has less to do."
                )
            self.patience.sleep(self.patience.pause(failures, seconds_asked(answer)))

    def values(self, answer: httpx.Response) -> dict[str, Any]:
        """Give the values of a JSON object.

        Raises:
            RemoteServiceError: an error, a refused key, or no JSON object.
        """
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise RemoteServiceError(
                f"{self.client.base_url} refuses without a key of the scope predict: "
                f"{detail_of(answer)} Put one into the environment variable {KEY_VARIABLE}."
            )
        if answer.status_code != httpx.codes.OK:
            raise RemoteServiceError(
                f"{answer.request.url} answered {answer.status_code}: {detail_of(answer)}"
            )
        try:
            found = answer.json()
        except ValueError as error:
            raise self.stranger("the answer is not JSON") from error
        if not isinstance(found, dict):
            raise self.stranger("the answer is no JSON object")
        return found

    def stranger(self, what: str) -> RemoteServiceError:
        """Give the error for an answer that is not as ours."""
        return RemoteServiceError(
            f"{self.client.base_url} does not answer as Lentigo does: {what}. Check --url."
        )


def detail_of(answer: httpx.Response) -> str:
    """Give what a problem says, or the name of its status."""
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    detail = problem.get("detail") if isinstance(problem, Mapping) else None
    return str(detail or answer.reason_phrase)


@contextmanager
def connected_to(
    url: str, key: str | None, patience: Patience | None = None
) -> Iterator[Connection]:
    """Open a service to be asked.

    Args:
        url: its address, such as `http://127.0.0.1:8000`.
        key: API key of the scope `predict`; None where it wants none.
        patience: how often to ask a busy service again.

    Raises:
        RemoteServiceError: not an address.
    """
    headers = {} if key is None else {"X-API-Key": key}
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise _no_address(url) from error
    if address.scheme not in ("http", "https") or not address.host:
        raise _no_address(url)
    with httpx.Client(base_url=address, headers=headers, timeout=_TIMEOUT) as client:
        yield Connection(client, patience or Patience())


def _no_address(url: str) -> RemoteServiceError:
    return RemoteServiceError(
        f"{url!r} is no address of a service. Give --url one like http://127.0.0.1:8000."
    )
