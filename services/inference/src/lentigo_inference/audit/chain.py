"""The chain of records: each names the SHA-256 of the one before it. Pure functions.

A record is one line of JSON in ASCII. It begins with its number, `seq`, and with `prev`, the digest
of the line before it. Lines are hashed as they stand, so there is no canonical form to agree on. A
checkpoint is a record that ends with an Ed25519 signature (RFC 8032) over all of the line before
`,"signature":`, so over `prev` and with it over every record before.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

Fields = Mapping[str, Any]
"""The members of a record, any JSON."""

GENESIS: Final = "0" * 64
"""`prev` of the first record of a chain."""

CHECKPOINT: Final = "checkpoint"
"""`kind` of a checkpoint."""

_SIGNATURE: Final = b',"signature":"'


@dataclass(frozen=True, slots=True)
class Link:
    """Where a chain ends.

    Attributes:
        seq: number of the last record; 0 if there is none yet.
        digest: SHA-256 of its line without the newline, in hex.
    """

    seq: int = 0
    digest: str = GENESIS

    def follow(self, line: bytes) -> "Link":
        """Return the end of the chain after one more line."""
        return Link(self.seq + 1, hashlib.sha256(line).hexdigest())


def add_record(link: Link, fields: Fields) -> tuple[bytes, Link]:
    """Return the line of a record that follows `link`, with its newline, and the new end."""
    line = _encoded(link, fields)
    return line + b"\n", link.follow(line)


def add_checkpoint(
    link: Link, fields: Fields, sign: Callable[[bytes], bytes]
) -> tuple[bytes, Link]:
    """Return the line of a signed checkpoint, as `add_record` does."""
    content = _encoded(link, {**fields, "kind": CHECKPOINT})[:-1]
    line = content + _SIGNATURE + base64.b64encode(sign(content)) + b'"}'
    return line + b"\n", link.follow(line)


def parse(line: bytes) -> dict[str, Any] | None:
    """Return the record of a line without its newline; None if it is none."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
        return None
    seq = record.get("seq")
    return record if isinstance(seq, int) and isinstance(record.get("prev"), str) else None


def signed_part(line: bytes) -> tuple[bytes, bytes] | None:
    """Return what the signature of a checkpoint is over, and the signature; None without one."""
    content, found, rest = line.rpartition(_SIGNATURE)
    if not found or not rest.endswith(b'"}'):
        return None
    try:
        return content, base64.b64decode(rest[:-2], validate=True)
    except binascii.Error:
        return None


def timestamp(seconds: float) -> str:
    """Return a Unix time as the records have it: UTC, in milliseconds."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_of(record: Fields) -> float:
    """Return the Unix time of a record; 0 if it has none that can be read."""
    try:
        return datetime.fromisoformat(str(record.get("time"))).timestamp()
    except ValueError:
        return 0.0


def _encoded(link: Link, fields: Fields) -> bytes:
    record = {"seq": link.seq + 1, "prev": link.digest, **fields}
    return json.dumps(record, separators=(",", ":"), allow_nan=False).encode("ascii")
