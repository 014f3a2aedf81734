"""Which names a service answers for, against DNS rebinding."""

import ipaddress
from collections.abc import Collection


def is_own_host(host: str, allowed: Collection[str] = ()) -> bool:
    """Return whether the Host of a request may be this service.

    A page of another site can make a browser send requests here under that site's name, whose
    address it changes to ours. It cannot do so under an address, under localhost (RFC 6761, section
    6.3), or under a name without a dot, which nobody can register.

    Args:
        host: the value of Host, with or without a port.
        allowed: further names, in lower case.
    """
    name = host.strip().lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") <= 1:
        name = name.partition(":")[0]
    if "." not in name or name.endswith(".localhost") or name in allowed:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
