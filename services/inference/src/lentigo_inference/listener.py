"""The socket the service listens on, taken before anything slow begins."""

import socket


class ListenError(OSError):
    """The address cannot be listened on; the text says why and what to do."""


def listen(host: str, port: int, backlog: int = 2048) -> socket.socket:
    """Take an address. Whoever connects from here on waits until the service accepts.

    Args:
        host: name or address.
        port: 0 takes a free one.
        backlog: connections that may wait.

    Raises:
        ListenError: it is taken, unknown or not allowed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ListenError(_described(host, port, error)) from error
    try:
        # A port left a minute ago is free, although the kernel still remembers its connections.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise ListenError(_described(host, port, error)) from error
    return listener


def address_of(listener: socket.socket) -> str:
    """Give the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _described(host: str, port: int, error: OSError) -> str:
    return (
        f"cannot listen on {host} port {port}: {error.strerror or error}. Stop what uses it, or "
        "set LENTIGO_HOST or LENTIGO_PORT to something else."
    )
