"""What RFC 9112 asks of the head of a request and the parser does not check."""

import re
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import httptools

from lentigo_inference.errors import MalformedHttpError, UnsupportedTransferCodingError

Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case, and values, as they came."""

# RFC 3986, section 3.2: a name, an IPv4 address, or an IPv6 address in brackets; then a port.
_HOST: Final = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(:[0-9]*)?")

_OLD: Final = "1.0"


@dataclass(frozen=True, slots=True)
class Target:
    """The target of a request: its path, decoded and as it came, and its query."""

    path: str
    raw_path: bytes
    query: bytes

    @classmethod
    def parse(cls, url: bytes) -> "Target":
        """Split the target of a request; raises MalformedHttpError."""
        try:
            parsed = httptools.parse_url(url)
            raw_path = parsed.path or b"/"
            path = raw_path.decode("ascii")
        except (httptools.HttpParserError, UnicodeDecodeError) as error:
            raise MalformedHttpError(
                "The target of the request is not a URL. Encode what is not ASCII with %."
            ) from error
        if "%" in path:
            path = urllib.parse.unquote(path)
        return cls(path, raw_path, parsed.query or b"")


def require_valid_head(version: str, headers: Headers) -> None:
    """Check the host and the transfer coding.

    Args:
        version: of HTTP, such as "1.1".
        headers: of the request.

    Raises:
        MalformedHttpError: not exactly one valid Host (section 3.2; HTTP/1.0 may have none), or a
            transfer coding in HTTP/1.0 (section 6.1).
        UnsupportedTransferCodingError: a transfer coding other than chunked (section 6.1).
    """
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) > 1 or (not hosts and version != _OLD):
        raise MalformedHttpError(f"The request has {len(hosts) or 'no'} Host. Send exactly one.")
    if hosts and _HOST.fullmatch(hosts[0].strip()) is None:
        raise MalformedHttpError("Host is not a name or an address, with or without a port.")
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    if not codings:
        return
    if version == _OLD:
        raise MalformedHttpError("HTTP/1.0 has no Transfer-Encoding. Use HTTP/1.1.")
    if b",".join(codings).strip().lower() != b"chunked":
        raise UnsupportedTransferCodingError(
            "The only transfer coding read here is chunked. Send the body uncompressed."
        )
