"""The address of a DICOM archive with a query: `dicomweb+https://HOST/PATH?KEY=VALUE&...`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from lentigo_inference.errors import SourceError

SIGN_IN: Final = {
    "user": "LENTIGO_ARCHIVE_USER",
    "password_file": "LENTIGO_ARCHIVE_PASSWORD_FILE",
    "key_file": "LENTIGO_ARCHIVE_KEY_FILE",
    "ca_file": "LENTIGO_ARCHIVE_CA_FILE",
}
"""Environment variables for members of the gateway's `[archive]`."""

_SCHEMES: Final = ("dicomweb+https", "dicomweb+http")


@dataclass(frozen=True, slots=True)
class Address:
    """Where an archive's DICOMweb is, and what is asked of it.

    Attributes:
        url: base address.
        query: attributes by keyword.
    """

    url: str
    query: Mapping[str, str]

    def __str__(self) -> str:
        """Return it as one line, which is the same for the same query."""
        return f"{self.url}?{urlencode(sorted(self.query.items()))}".rstrip("?")


def is_dicomweb(source: str) -> bool:
    """Return whether a source is named as an archive."""
    return source.lower().startswith(tuple(f"{scheme}://" for scheme in _SCHEMES))


def parse_address(source: str) -> Address:
    """Read an address such as `dicomweb+https://archive.example/dicom-web?Modality=XC`.

    Raises:
        SourceError: it is none. The message does not quote it: there may be a password in it.
    """
    try:
        parts = urlsplit(source)
        named = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        usable = _usable(parts)
    except ValueError as error:
        raise _no_address() from error
    if "@" in parts.netloc:
        raise SourceError(
            "An address with a user or password is not used: other users of this machine see it. "
            f"Set {SIGN_IN['user']} and {SIGN_IN['password_file']}."
        )
    query = dict(named)
    if not usable or len(query) != len(named):
        raise _no_address()
    url = f"{parts.scheme.lower().removeprefix('dicomweb+')}://{parts.netloc}{parts.path}"
    return Address(url.rstrip("/"), query)


def _usable(parts: SplitResult) -> bool:
    # Reading the port checks it.
    return bool(parts.hostname) and parts.port != 0 and not parts.fragment


def _no_address() -> SourceError:
    return SourceError(
        "This is no address of an archive. Write it as dicomweb+https://HOST/PATH?KEY=VALUE&..., "
        "each key once."
    )
