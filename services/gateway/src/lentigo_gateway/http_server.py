"""An HTTP server that the gateway asks: within bounds of time and size.

A failure is one of three. The server is away or busy (`ServerUnavailableError`), which says nothing
of what was asked. This request failed and may succeed later (`TryAgainError`). Or there is a
response, and the caller knows what its status means.
"""

import base64
import ssl
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx

from lentigo_gateway.config import ServerConfig, read_secret
from lentigo_gateway.errors import (
    BoundsError,
    ConfigError,
    Server,
    ServerUnavailableError,
    SignInRefusedError,
    TryAgainError,
)

JSON_BYTES: Final = 8 * 2**20
"""What a response of JSON may have."""

Parameters = Mapping[str, str | int | list[str]]
"""A query; a list is sent as one parameter for each of its values."""

_CONNECT_S: Final = 5.0
_NAMES: Final[Mapping[Server, str]] = {
    "service": "The inference service",
    "archive": "The archive",
    "results": "The archive",
    "fhir": "The FHIR server",
    "feedback": "The inference service",
}
_SIGN_IN: Final = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
_BUSY: Final = (
    httpx.codes.TOO_MANY_REQUESTS,
    httpx.codes.SERVICE_UNAVAILABLE,
    httpx.codes.INSUFFICIENT_STORAGE,
)
# A key that was refused is not accepted a second later.
_SIGN_IN_RETRY_S: Final = 30.0
_RETRY_AFTER_DIGITS: Final = 8


@dataclass(frozen=True, slots=True)
class Reply:
    """A response, complete.

    Attributes:
        status: of HTTP.
        media_type: `Content-Type`, with its parameters.
        body: the content.
    """

    status: int
    media_type: str
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300


class HttpServer:
    """A server and how to ask it; for several threads."""

    def __init__(
        self,
        config: ServerConfig,
        server: Server,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare the connection.

        Args:
            config: its address and how to sign in.
            server: what it is to the gateway.
            transport: instead of the network.
            clock: seconds, for the time limit.

        Raises:
            ConfigError: a file with a password, key or certificate cannot be used.
        """
        self.server: Server = server
        self.name = _NAMES[server]
        self._timeout_s = config.timeout_s
        self._clock = clock
        self._client = httpx.Client(
            base_url=config.url.rstrip("/") + "/",
            headers=_sign_in(config) | {"Accept-Encoding": "identity"},
            timeout=httpx.Timeout(config.timeout_s, connect=min(_CONNECT_S, config.timeout_s)),
            verify=_certificates(config),
            transport=transport,
            # What the configuration names is where it goes, and the credentials with it.
            follow_redirects=False,
            trust_env=False,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        max_bytes: int = JSON_BYTES,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Parameters | None = None,
        expected: Collection[int] = (),
    ) -> Reply:
        """Send a request and return its response.

        Args:
            method: of HTTP.
            path: below the base address.
            max_bytes: of the response's content.
            content: of the request.
            headers: besides those of every request.
            params: the query.
            expected: statuses that the caller knows the meaning of, whatever it is elsewhere.

        Raises:
            ServerUnavailableError: no connection, 429, 503 or 507, or our credentials are refused.
            TryAgainError: no response in time, a broken one, 408 or another 5xx.
            BoundsError: the content is longer.
        """
        deadline = self._clock() + self._timeout_s
        try:
            with self._client.stream(
                method, path, content=content, headers=dict(headers or {}), params=params
            ) as response:
                body = self._read(response, max_bytes, deadline)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise self._unreachable(error) from error
        except httpx.TimeoutException as error:
            raise self._too_slow() from error
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise TryAgainError(f"{self.name} broke off its response.", self.server) from error
        if response.status_code not in expected:
            self._check(response)
        return Reply(response.status_code, response.headers.get("Content-Type", ""), body)

    def get_json(
        self, path: str, params: Parameters | None = None, accept: str | None = None
    ) -> Any:  # noqa: ANN401 - any JSON
        """Return the JSON of a resource; None if there is none, 404 or 204.

        Raises:
            ServerUnavailableError, TryAgainError: as `ask`; also a response that is not JSON.
        """
        headers = {"Accept": accept or "application/json"}
        reply = self.ask("GET", path, headers=headers, params=params)
        if reply.status in (httpx.codes.NOT_FOUND, httpx.codes.NO_CONTENT):
            return None
        if not reply.ok:
            raise self.unexpected(reply)
        return self.json_of(reply)

    def json_of(self, reply: Reply) -> Any:  # noqa: ANN401 - any JSON
        """Return the JSON in a response.

        Raises:
            TryAgainError: it is not JSON.
        """
        try:
            return httpx.Response(200, content=reply.body).json()
        except (ValueError, RecursionError) as error:
            raise TryAgainError(f"{self.name} answered what is not JSON.", self.server) from error

    def unexpected(self, reply: Reply) -> TryAgainError:
        """Return the error for a status that the caller has no use for."""
        return TryAgainError(f"{self.name} answered {reply.status}.", self.server)

    def _read(self, response: httpx.Response, max_bytes: int, deadline: float) -> bytes:
        declared = response.headers.get("Content-Length", "")
        if declared.isdecimal() and int(declared) > max_bytes:
            raise self._too_long(max_bytes)
        parts, size = [], 0
        for part in response.iter_bytes():
            size += len(part)
            if size > max_bytes:
                raise self._too_long(max_bytes)
            if self._clock() > deadline:
                raise self._too_slow()
            parts.append(part)
        return b"".join(parts)

    def _check(self, response: httpx.Response) -> None:
        status = response.status_code
        if status in _SIGN_IN:
            raise SignInRefusedError(
                f"{self.name} refuses our key or password, or wants one ({status}). Check the "
                "configuration.",
                self.server,
                _SIGN_IN_RETRY_S,
            )
        if status in _BUSY:
            raise ServerUnavailableError(
                f"{self.name} is busy or full ({status}).", self.server, retry_after_s(response)
            )
        if status == httpx.codes.REQUEST_TIMEOUT or status >= 500:
            raise TryAgainError(f"{self.name} answered {status}.", self.server)

    def _unreachable(self, error: httpx.TransportError) -> ServerUnavailableError:
        # OpenSSL's name for it is all that httpx passes on.
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            why = "shows a certificate that is not trusted. Name its authority's file"
        else:
            why = "cannot be reached"
        return ServerUnavailableError(f"{self.name} {why}.", self.server)

    def _too_slow(self) -> TryAgainError:
        return TryAgainError(
            f"{self.name} did not answer within {self._timeout_s:g} s.", self.server
        )

    def _too_long(self, max_bytes: int) -> BoundsError:
        return BoundsError(
            f"{self.name} sent more than {max_bytes:,} bytes, which are not accepted."
        )


def retry_after_s(response: httpx.Response) -> float | None:
    """Return the seconds that a server asks to wait; None if it does not say, or not clearly.

    RFC 9110, section 10.2.3: seconds or a date. A date counts from the server's own, so that its
    clock need not agree with ours.
    """
    text = response.headers.get("Retry-After", "")
    if text.isdecimal():
        return float(text) if len(text) < _RETRY_AFTER_DIGITS else None
    try:
        due, now = (parsedate_to_datetime(each) for each in (text, response.headers["Date"]))
        return max(0.0, (due - now).total_seconds())
    except (KeyError, ValueError, TypeError):
        return None


def _sign_in(config: ServerConfig) -> dict[str, str]:
    if config.key_file is not None:
        return {"Authorization": f"Bearer {read_secret(config.key_file)}"}
    if config.user is not None and config.password_file is not None:
        pair = f"{config.user}:{read_secret(config.password_file)}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}


def _certificates(config: ServerConfig) -> ssl.SSLContext | bool:
    if config.ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=config.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"The certificates in {config.ca_file} cannot be used.") from error
