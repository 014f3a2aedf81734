"""What the issuer publishes, fetched within bounds of address, time and size.

First its configuration (OpenID Connect Discovery 1.0, section 4), then the key set that this names
(RFC 7517). httpx is imported where it is used: most services have no issuer.
"""

import asyncio
import ipaddress
import json
import ssl
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from lentigo_inference.errors import IssuerError

if TYPE_CHECKING:
    import httpx

TIMEOUT_S: Final = 5.0
"""Seconds for both documents together, connections included."""

MAX_BYTES: Final = 2**18
"""Of one document. Large issuers publish some ten keys, of about a kilobyte each."""

_CONFIGURATION: Final = "/.well-known/openid-configuration"


async def fetch_key_set(issuer: str, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """Return the key set of an issuer.

    Redirects are not followed, and nothing compressed is read.

    Raises:
        IssuerError: it cannot be reached in time, or what it publishes cannot be used.
    """
    trusted = await asyncio.to_thread(_load_authorities)
    try:
        async with asyncio.timeout(timeout_s), _client(issuer, trusted) as client:
            configuration = await _fetch(client, issuer.rstrip("/") + _CONFIGURATION)
            if configuration.get("issuer") != issuer:
                # Section 4.3: otherwise one issuer could speak for another.
                raise IssuerError(
                    f"What {issuer} publishes is of another issuer. LENTIGO_OIDC_ISSUER must be "
                    "written exactly as the issuer writes it."
                )
            address = configuration.get("jwks_uri")
            if not isinstance(address, str):
                raise IssuerError(f"The configuration of {issuer} names no key set (jwks_uri).")
            require_safe_address(address, plain=is_plain(issuer))
            return await _fetch(client, address)
    except TimeoutError as error:
        raise IssuerError(f"{issuer} did not answer within {timeout_s:g} s.") from error


def _load_authorities() -> ssl.SSLContext:
    """Return the authorities that are trusted, with httpx loaded too.

    Both take long enough to hold up the event loop.
    """
    import httpx  # noqa: F401, PLC0415 - see above

    return ssl.create_default_context()


def require_safe_address(address: str, *, plain: bool = True) -> None:
    """Check the address of an issuer or of its key set.

    Args:
        address: a URL.
        plain: whether HTTP without TLS is allowed on this machine, for tests and side-cars.

    Raises:
        IssuerError: it is not HTTPS, or has parts that no such address has.
    """
    try:
        parts = urlsplit(address)
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        raise IssuerError(f"{address!r} is not an address of an issuer.") from error
    if not host or "@" in parts.netloc or parts.fragment or not address.isascii():
        raise IssuerError(
            f"{address!r} is not an address of an issuer, such as https://login.example/realms/ward."
        )
    if parts.scheme == "https" or (plain and parts.scheme == "http" and _is_loopback(host)):
        return
    raise IssuerError(
        f"{address} is not HTTPS, so anybody on the way could name keys of their own. Without TLS "
        "an issuer may only be on this machine."
    )


def is_plain(address: str) -> bool:
    """Return whether an address is without TLS."""
    return urlsplit(address).scheme == "http"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _client(issuer: str, trusted: ssl.SSLContext) -> "httpx.AsyncClient":
    import httpx  # noqa: PLC0415 - see the module

    return httpx.AsyncClient(
        verify=trusted,
        follow_redirects=False,
        timeout=None,  # noqa: S113 - the caller has one for everything
        # A proxy of the hospital may lead to an issuer outside, and never to this machine.
        trust_env=not is_plain(issuer),
        # Otherwise a few bytes could become gigabytes.
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
    )


async def _fetch(client: "httpx.AsyncClient", address: str) -> dict[str, Any]:
    import httpx  # noqa: PLC0415 - see the module

    try:
        async with client.stream("GET", address) as response:
            _require_plain_answer(response, address)
            content = bytearray()
            async for part in response.aiter_raw():
                content += part
                if len(content) > MAX_BYTES:
                    raise IssuerError(f"{address} answers with more than {MAX_BYTES:,} bytes.")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        cause = str(error) or type(error).__name__
        raise IssuerError(f"{address} cannot be reached: {cause}.") from error
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise IssuerError(f"{address} does not answer with JSON.") from error
    if not isinstance(document, dict):
        raise IssuerError(f"{address} does not answer with a JSON object.")
    return document


def _require_plain_answer(response: "httpx.Response", address: str) -> None:
    if response.status_code != 200:
        raise IssuerError(
            f"{address} answers with status {response.status_code}, and not with 200."
        )
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise IssuerError(f"{address} answers compressed, which was not asked for.")
