"""Making the page available offline: what breaks off, is forbidden, withdrawn or not offered."""

import pytest
from playwright.sync_api import Route, expect

from tests.e2e.page.availability import MODEL, kept, open_section, press_keep, see_failure, turn_on
from tests.e2e.page.conftest import SHIPPED, Visit
from tests.e2e.service_process import ServiceProcess, service_process


@pytest.fixture
def service_workers() -> str:
    """Allowed, but for tests that answer a request before the worker has taken over."""
    return "allow"


def test_a_download_that_breaks_off_leaves_nothing(visit: Visit, shipped: ServiceProcess) -> None:
    page = visit(shipped.url, service_workers="block")
    page.route(MODEL, lambda route: route.abort("connectionreset"))
    press_keep(page)
    see_failure(page, "The download broke off")


def test_a_packed_network_that_is_cut_off_is_not_kept(
    visit: Visit, shipped: ServiceProcess
) -> None:
    page = visit(shipped.url, service_workers="block")
    page.route(MODEL, lambda route: route.fulfill(body=route.fetch().body()[:2_000_000]))
    press_keep(page)
    see_failure(page, "The download broke off")


def test_a_service_that_packs_nothing_sends_the_network_as_it_is(
    visit: Visit, shipped: ServiceProcess
) -> None:
    page = visit(shipped.url, service_workers="block")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    def of_an_earlier_service(route: Route) -> None:
        offer = route.fetch().json()
        del offer["version"]["file"]["packed"]
        route.fulfill(json=offer)

    page.route("**/v1/offline", of_an_earlier_service)
    press_keep(page)
    expect(page.locator("#offline-body")).to_contain_text("is kept on this device")
    assert [url for url in asked if "/v1/offline/" in url] == [f"{shipped.url}/v1/offline/model"]


def test_another_network_than_was_published_is_not_kept(
    visit: Visit, shipped: ServiceProcess
) -> None:
    page = visit(shipped.url, service_workers="block")

    def changed(route: Route) -> None:
        content = bytearray(route.fetch().body())
        content[-5000] ^= 1
        route.fulfill(body=bytes(content))

    page.route(MODEL, changed)
    press_keep(page)
    see_failure(page, "is not what the service published")


def test_without_space_nothing_is_kept(visit: Visit, shipped: ServiceProcess) -> None:
    page = visit(shipped.url)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Storage.overrideQuotaForOrigin", {"origin": shipped.url, "quotaSize": 12e6})
    press_keep(page)
    see_failure(page, "no space left")


def test_where_nothing_may_be_stored_it_says_so(visit: Visit, shipped: ServiceProcess) -> None:
    page = visit(shipped.url)
    page.evaluate(
        """() => {
          const forbidden = async () => { throw new DOMException("denied", "SecurityError"); };
          CacheStorage.prototype.open = forbidden;
        }"""
    )
    press_keep(page)
    see_failure(page, "lets no page keep anything")


def test_without_webassembly_it_says_so(visit: Visit, shipped: ServiceProcess) -> None:
    page = visit(shipped.url, service_workers="block")

    def bereft(route: Route) -> None:
        if route.request.resource_type == "fetch":
            return route.continue_()
        response = route.fetch()
        return route.fulfill(response=response, body=f"delete self.WebAssembly;{response.text()}")

    page.route("**/page/offline/worker.js", bereft)
    press_keep(page)
    see_failure(page, "cannot run the model")


def test_a_withdrawn_version_is_no_longer_used(visit: Visit, shipped: ServiceProcess) -> None:
    page = visit(shipped.url)
    turn_on(page)
    page.route("**/v2/repository/index", lambda route: route.fulfill(json=[]))
    with page.expect_response("**/v2/repository/index"):
        page.reload()
    page.locator("body.loaded").wait_for()
    open_section(page)
    expect(page.locator("#offline-body")).to_contain_text("was withdrawn by the service")
    page.context.set_offline(True)
    page.reload()
    expect(page.locator("#model")).to_contain_text("cannot be reached")


def test_a_newer_version_is_offered(visit: Visit, shipped: ServiceProcess) -> None:
    page = visit(shipped.url)
    turn_on(page)

    def newer(route: Route) -> None:
        offer = route.fetch().json()
        offer["version"]["model"] |= {"version": "5", "digest": "f" * 64}
        route.fulfill(json=offer)

    page.route("**/v1/offline", newer)
    page.reload()
    page.locator("body.loaded").wait_for()
    open_section(page)
    expect(page.locator("#offline-body")).to_contain_text("The service now uses version 5.")
    page.get_by_role("button", name="Load the newer version").click()
    expect(page.locator("#offline-body")).to_contain_text("Version 5 is kept on this device")
    assert len(kept(page)) == 1


def test_a_service_that_does_not_offer_it_says_why(visit: Visit) -> None:
    with service_process(SHIPPED, LENTIGO_ENGINE="litert", LENTIGO_OFFLINE="false") as service:
        service.logged("model in use")
        page = visit(service.url)
        open_section(page)
        expect(page.locator("#offline-body")).to_contain_text("does not offer it")
        expect(page.get_by_role("button", name="Make available offline")).to_have_count(0)
