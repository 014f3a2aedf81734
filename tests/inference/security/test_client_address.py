import ipaddress

import pytest
import structlog

from lentigo_inference.security.client_address import client_address
from lentigo_inference.settings import Settings
from tests.inference.live_app import running

TRUSTED = (ipaddress.ip_network("127.0.0.1"), ipaddress.ip_network("10.0.0.0/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("127.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("127.0.0.1", "198.51.100.1, 192.0.2.7", "192.0.2.7"),
        ("127.0.0.1", "192.0.2.7, 10.1.2.3", "192.0.2.7"),
        ("127.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("127.0.0.1", "192.0.2.7:4711", "192.0.2.7"),
        ("::ffff:127.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "Jane Doe", "127.0.0.1"),
        ("127.0.0.1", "192.0.2.7, Jane Doe, 10.1.2.3", "10.1.2.3"),
        ("127.0.0.1", "10.0.0.1, 10.0.0.2", "10.0.0.1"),
        ("192.0.2.9", "198.51.100.1", "192.0.2.9"),
    ],
)
def test_only_what_trusted_proxies_append_counts(peer: str, forwarded: str, found: str) -> None:
    assert client_address(peer, forwarded, TRUSTED) == found


def test_without_trusted_proxies_the_header_is_ignored() -> None:
    assert client_address("127.0.0.1", "192.0.2.7", ()) == "127.0.0.1"
    assert client_address(None, "192.0.2.7", TRUSTED) is None


def test_of_an_endless_header_the_end_is_read() -> None:
    many = ", ".join(["198.51.100.1", *["10.0.0.1"] * 10_000])
    assert client_address("127.0.0.1", many, TRUSTED) == "10.0.0.1"


@pytest.mark.anyio
@pytest.mark.parametrize("trusted", [True, False])
async def test_the_log_and_the_rate_limit_have_the_address_of_the_client(
    settings: Settings, trusted: bool
) -> None:
    changes = {"rate_limit_per_minute": 1, "trusted_proxies": TRUSTED if trusted else ()}
    with structlog.testing.capture_logs() as logs:
        async with running(settings.model_copy(update=changes)) as service:
            statuses = [
                (
                    await service.client.get("/v1/models", headers={"X-Forwarded-For": address})
                ).status_code
                for address in ("192.0.2.7", "192.0.2.8")
            ]
    clients = [entry["client"] for entry in logs if entry["event"] == "request"]
    assert statuses == ([200, 200] if trusted else [200, 429])
    assert clients == (["192.0.2.7", "192.0.2.8"] if trusted else ["127.0.0.1"] * 2)


def test_proxies_are_addresses_or_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENTIGO_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8")
    assert Settings().trusted_proxies == TRUSTED
    monkeypatch.setenv("LENTIGO_TRUSTED_PROXIES", "nginx")
    with pytest.raises(ValueError, match="trusted_proxies"):
        Settings()
