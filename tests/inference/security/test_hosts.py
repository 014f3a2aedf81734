import pytest

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.security.hosts import is_own_host
from lentigo_inference.settings import Settings
from tests.inference.live_app import problem_of, running
from tests.models import publish_plain

LIVE = "/v2/health/live"


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost",
        "localhost:8000",
        "127.0.0.1:8000",
        "[::1]:8000",
        "192.0.2.7",
        "inference:8000",
        "app.localhost",
        "LENTIGO.example:80",
    ],
)
def test_an_address_a_local_name_and_a_listed_name_may_be_the_service(host: str) -> None:
    assert is_own_host(host, ("lentigo.example",))


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example"],
)
def test_a_name_that_somebody_may_register_is_not_the_service(host: str) -> None:
    assert not is_own_host(host, ("lentigo.example",))


@pytest.mark.anyio
async def test_without_keys_a_page_of_another_name_is_refused(
    settings: Settings, store: ModelStore
) -> None:
    """DNS rebinding: the name of the page's host leads to this machine."""
    publish_plain(store, 1)
    async with running(settings) as service:
        refused = await service.client.get("/v1/models", headers={"Host": "evil.example"})
        answered = await service.client.get("/v1/models", headers={"Host": "127.0.0.1:8000"})
    assert refused.status_code == 421
    assert problem_of(refused)["type"] == "urn:lentigo:problem:misdirected-request"
    assert answered.status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"allowed_hosts": ("ward.example",)}, 200),
        ({"allow_anonymous": True}, 200),
        ({"allow_anonymous": True, "allowed_hosts": ("other.example",)}, 421),
    ],
)
async def test_the_settings_decide_which_names_are_answered(
    settings: Settings, changes: dict[str, object], status: int
) -> None:
    async with running(settings.model_copy(update=changes)) as service:
        answer = await service.client.get(LIVE, headers={"Host": "ward.example"})
    assert answer.status_code == status


def test_hosts_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENTIGO_ALLOWED_HOSTS", "Lentigo.example, other.example")
    assert Settings().allowed_hosts == ("lentigo.example", "other.example")
    for wrong in ("*", "a.example:80", "https://a.example"):
        monkeypatch.setenv("LENTIGO_ALLOWED_HOSTS", wrong)
        with pytest.raises(ValueError, match="a host is like"):
            Settings()
