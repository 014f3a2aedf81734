"""Which address a request comes from, also through proxies."""

import ipaddress
from collections.abc import Sequence
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# A chain of proxies is short, and the header may be as long as a head.
_MAX_HOPS: Final = 16


def client_address(peer: str | None, forwarded_for: str, trusted: Sequence[Network]) -> str | None:
    """Return the address that a request comes from.

    Each proxy appends the address it was asked from to X-Forwarded-For, and a client may send
    anything. So only what trusted proxies appended counts: the last address that is not theirs.

    Args:
        peer: address at the other end of the connection, if it has one.
        forwarded_for: all X-Forwarded-For of the request, joined by commas.
        trusted: addresses of proxies.
    """
    found = _parse(peer or "")
    if found is None or not trusted:
        return peer
    for entry in reversed(forwarded_for.rsplit(",", _MAX_HOPS)[-_MAX_HOPS:]):
        if not _is_in(found, trusted):
            break
        before = _parse(entry)
        if before is None:
            break
        found = before
    return str(found)


def _parse(text: str) -> Address | None:
    """Read an address, with or without a port or a zone."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # A socket that listens on IPv6 and IPv4 has IPv4 clients under such addresses.
    return getattr(address, "ipv4_mapped", None) or address


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
