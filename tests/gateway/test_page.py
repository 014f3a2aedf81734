import socket
from collections.abc import Iterator

import httpx
import pytest

from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_gateway.config import PageConfig
from lentigo_gateway.errors import ListenError
from lentigo_gateway.page.server import OperatorsPage
from tests.gateway.bench import Bench
from tests.gateway.dicom import PATIENT_ID, STUDY, dermoscopic


@pytest.fixture
def page(bench: Bench) -> Iterator[httpx.Client]:
    made = OperatorsPage(PageConfig(port=0), bench.worklist)
    with httpx.Client(base_url=made.start()) as client:
        yield client
    made.stop()


def test_it_shows_counts_and_entries_and_the_notice(bench: Bench, page: httpx.Client) -> None:
    bench.archive.put(dermoscopic(1))
    bench.archive.put(dermoscopic(2, PixelData=None))
    bench.work()
    response = page.get("/")
    assert response.status_code == 200
    for text in (RESEARCH_NOTICE, "<dt>done</dt><dd>1</dd>", "no pixels", f"{STUDY}.3.2"):
        assert text in response.text
    assert PATIENT_ID not in response.text
    assert response.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


def test_it_says_what_to_do_with_what_is_parked(bench: Bench, page: httpx.Client) -> None:
    assert "retry" not in page.get("/").text
    bench.archive.put(dermoscopic(1))
    bench.source.look()
    bench.worklist.finish(bench.entry, "parked", "<script>alert(1)</script>")
    text = page.get("/").text
    assert "lentigo-gateway retry" in text
    assert "<script>" not in text


def test_an_empty_list_has_a_page(page: httpx.Client) -> None:
    assert "Nothing yet." in page.get("/").text


def test_it_answers_for_this_machine_alone(page: httpx.Client) -> None:
    assert page.get("/", headers={"Host": "evil.example"}).status_code == 421
    assert page.get("/", headers={"Host": "localhost:1234"}).status_code == 200


def test_there_is_only_one_page_and_nothing_to_change(page: httpx.Client) -> None:
    assert page.get("/etc/passwd").status_code == 404
    assert page.post("/").status_code == 501


def test_it_can_be_reached_in_a_container(bench: Bench) -> None:
    assert status_on(PageConfig(host="0.0.0.0", port=0), "127.0.0.1", bench) == 200  # noqa: S104


def test_it_listens_on_the_loopback_of_ipv6(bench: Bench) -> None:
    if not has_ipv6():
        pytest.skip("no IPv6 here")
    assert status_on(PageConfig(host="::1", port=0), "[::1]", bench) == 200


def status_on(config: PageConfig, host: str, bench: Bench) -> int:
    made = OperatorsPage(config, bench.worklist)
    port = httpx.URL(made.start()).port
    try:
        return httpx.get(f"http://{host}:{port}/").status_code
    finally:
        made.stop()


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_an_address_that_is_taken_is_an_error(bench: Bench, page: httpx.Client) -> None:
    port = page.base_url.port
    assert port is not None
    with pytest.raises(ListenError):
        OperatorsPage(PageConfig(port=port), bench.worklist).start()
