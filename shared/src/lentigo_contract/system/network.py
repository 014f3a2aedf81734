"""A look at an address before a library tries it for minutes."""

import socket
from typing import Final

_CONNECT_S: Final = 5.0


def require_listener(address: str) -> None:
    """Connect to the address of a Ray cluster's head once, if it names a port.

    Args:
        address: such as `10.0.0.1:6379` or `ray://10.0.0.1:10001`; others, such as `auto`, pass.

    Raises:
        OSError: nothing answers there within five seconds.
        OverflowError: the port is too large.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), _CONNECT_S).close()
