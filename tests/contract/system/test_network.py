import socket

import pytest

from lentigo_contract.system.network import require_listener
from tests.ports import free_port


def test_an_address_that_listens_passes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        require_listener(f"127.0.0.1:{port}")
        require_listener(f"ray://127.0.0.1:{port}")


@pytest.mark.parametrize("address", ["auto", "local", "", "somewhere", "host:name"])
def test_an_address_without_a_port_is_left_to_the_library(address: str) -> None:
    require_listener(address)


def test_an_address_that_nothing_listens_on_is_refused() -> None:
    with pytest.raises(OSError, match="refused"):
        require_listener(f"127.0.0.1:{free_port()}")


def test_a_port_that_cannot_be_is_refused() -> None:
    with pytest.raises((OSError, OverflowError)):
        require_listener("127.0.0.1:99999999999")
