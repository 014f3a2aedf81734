"""The page before any image: small, installable, and there without a network."""

import json
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Page, expect

from tests.e2e.page.conftest import Visit
from tests.e2e.page.hands import choose, lesion, predict
from tests.e2e.service_process import ServiceProcess, service_process

MAX_BYTES = 150_000
MAX_REQUESTS = 10

READY = "() => navigator.serviceWorker.ready.then(() => null)"


@pytest.fixture
def service_workers() -> str:
    return "allow"


def requests(service: ServiceProcess) -> list[dict[str, Any]]:
    """What the service was asked so far, by whomever."""
    lines = [json.loads(line) for line in service.lines if line.startswith("{")]
    return [line for line in lines if line["event"] == "request"]


def test_the_first_load_is_small(visit: Visit, models: Any) -> None:
    with service_process(models) as service:
        service.logged("model in use")
        page = visit(service.url)
        expect(page.locator("#model")).to_contain_text("Model lentigo")
        page.evaluate(READY)
        # With what the service worker keeps for later.
        assert 5 < len(requests(service)) <= MAX_REQUESTS
        loaded = page.evaluate(
            """() => [...performance.getEntriesByType("navigation"),
                      ...performance.getEntriesByType("resource")]
                .reduce((sum, entry) => sum + entry.transferSize, 0)"""
        )
        assert 20_000 < loaded <= MAX_BYTES


def test_without_a_network_the_page_opens_and_holds_no_result(page: Page) -> None:
    choose(page, lesion())
    predict(page)
    page.evaluate(READY)
    kept = page.evaluate(
        "async () => (await (await caches.open('lentigo-shell')).keys()).map((kept) => kept.url)"
    )
    assert any(url.endswith("/page/app.js") for url in kept)
    assert not [url for url in kept if "/v1/" in url]
    page.context.set_offline(True)
    page.reload()
    expect(page.locator("#model")).to_contain_text("cannot be reached")
    expect(page.get_by_text("Choose images")).to_be_visible()
    expect(page.locator(".item")).to_have_count(0)
    page.context.set_offline(False)
    expect(page.locator("#model")).to_contain_text("Model lentigo")


def test_the_page_can_be_installed(page: Page) -> None:
    page.evaluate(READY)
    devtools = page.context.new_cdp_session(page)
    manifest = devtools.send("Page.getAppManifest")
    assert manifest["errors"] == []
    assert json.loads(manifest["data"])["display"] == "standalone"
    problems = devtools.send("Page.getInstallabilityErrors")["installabilityErrors"]
    # A context of the tests is like a private window, which never installs.
    assert [entry["errorId"] for entry in problems if entry["errorId"] != "in-incognito"] == []


SHARE = """<form method="post" enctype="multipart/form-data" action="{url}/share">
  <input type="file" name="images" multiple><button>Share</button></form>"""


def share(page: Page, url: str, *images: FilePayload, script: str = "") -> Page:
    """Send images to the installed page, as a phone's gallery does."""
    gallery = page.context.new_page()
    gallery.add_init_script(script)
    gallery.set_content(SHARE.format(url=url))
    gallery.locator("input").set_input_files(list(images))
    gallery.get_by_role("button", name="Share").click()
    gallery.locator("body.loaded").wait_for()
    return gallery


@pytest.mark.parametrize("offline", [False, True])
def test_images_shared_from_another_app_are_in_the_list(
    visit: Visit, service: ServiceProcess, *, offline: bool
) -> None:
    page = visit(service.url)
    page.evaluate(READY)
    page.context.set_offline(offline)
    opened = share(page, service.url, lesion("mel"), lesion("nv"))
    expect(opened.locator(".item .name")).to_have_text(
        [lesion("mel")["name"], lesion("nv")["name"]]
    )
    # Opened again, they do not come again.
    opened.reload()
    opened.locator("body.loaded").wait_for()
    expect(opened.locator(".item")).to_have_count(0)
    expect(opened.locator(".alert")).to_have_count(0)


# A slow page: it asks for its images when the test says so.
SLOW = """(() => {
  const post = ServiceWorker.prototype.postMessage;
  ServiceWorker.prototype.postMessage = function (...given) {
    window.ask = () => post.apply(this, given);
  };
  const wait = window.setTimeout;
  window.setTimeout = (then, delay) => delay < 5000 && wait(then, delay);
})();"""


def test_images_shared_one_after_the_other_come_to_their_own_pages(
    visit: Visit, service: ServiceProcess
) -> None:
    page = visit(service.url)
    page.evaluate(READY)
    slow = share(page, service.url, lesion("mel"), script=SLOW)
    quick = share(page, service.url, lesion("nv"))
    expect(quick.locator(".item .name")).to_have_text([lesion("nv")["name"]])
    slow.evaluate("() => window.ask()")
    expect(slow.locator(".item .name")).to_have_text([lesion("mel")["name"]])


def test_shared_images_that_got_lost_are_asked_for_again(
    visit: Visit, service: ServiceProcess
) -> None:
    page = visit(service.url, service_workers="block")
    opened = share(page, service.url, lesion())
    expect(opened.locator("#intake .alert")).to_contain_text("did not arrive")
    choose(opened, lesion())
    predict(opened)
