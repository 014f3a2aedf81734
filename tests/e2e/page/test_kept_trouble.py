"""Results kept on the device: what is damaged, full, forbidden or open twice is told."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from tests.e2e.page.conftest import ARGUMENTS, CHROMIUM, Visit
from tests.e2e.page.hands import button, choose, lesion, predict
from tests.e2e.page.keeping import (
    PASSPHRASE,
    STORED,
    fill_and_keep,
    keep_first,
    open_dialog,
    open_section,
    press_keep,
    reopened,
    see_failure,
    tamper,
)
from tests.e2e.service_process import DEADLINE_S, ServiceProcess

FLIP = "new Uint8Array(values[0].result.data)[3] ^= 1; store.put(values[0]);"

SWAP = """[values[0].result, values[1].result] = [values[1].result, values[0].result];
    values.forEach((value) => store.put(value));"""


@pytest.mark.parametrize(("act", "damaged"), [(FLIP, 1), (SWAP, 2)])
def test_a_damaged_record_is_told_and_leaves_the_others(page: Page, act: str, damaged: int) -> None:
    choose(page, lesion("mel"), lesion("nv"))
    predict(page)
    keep_first(page)
    page.locator(".item").nth(1).click()
    predict(page)
    open_dialog(page)
    fill_and_keep(page)
    tamper(page, "records", act)
    section = reopened(page)
    expect(section.get_by_text("This result is damaged and cannot be read.")).to_have_count(damaged)
    expect(section.locator("h4")).to_have_count(2 - damaged)
    button(page, "Delete this result").last.click()
    expect(section.locator(".kept-list > li")).to_have_count(1)


@pytest.mark.parametrize(
    "act",
    [
        "values[0].derivation.iterations = 1000; store.put(values[0], keys[0]);",
        "store.put({}, keys[0]);",
        "store.clear();",
    ],
)
def test_a_damaged_header_is_told_and_can_be_deleted(predicted: Page, act: str) -> None:
    keep_first(predicted)
    tamper(predicted, "header", act)
    predicted.reload()
    predicted.locator("body.loaded").wait_for()
    section = open_section(predicted)
    expect(section).to_contain_text("What is kept here is damaged and cannot be opened.")
    button(predicted, "Delete all kept results").click()
    button(predicted, "Delete them").click()
    expect(section).to_contain_text("No result is kept on this device.")


def test_a_full_disk_is_told_and_nothing_is_half_kept(
    predicted: Page, service: ServiceProcess
) -> None:
    devtools = predicted.context.new_cdp_session(predicted)
    origin = service.url.rstrip("/")
    # Before the first write: the browser remembers for a while how much space there was.
    devtools.send("Storage.overrideQuotaForOrigin", {"origin": origin, "quotaSize": 1})
    dialog = open_dialog(predicted)
    dialog.locator("#keep-new").fill(PASSPHRASE)
    dialog.locator("#keep-repeat").fill(PASSPHRASE)
    press_keep(predicted)
    see_failure(predicted, "This device has no space left for it. Nothing was kept.")
    assert predicted.evaluate(STORED) == {"header": [], "images": [], "records": []}
    devtools.send("Storage.overrideQuotaForOrigin", {"origin": origin})
    # What was typed is still there.
    fill_and_keep(predicted)
    assert len(predicted.evaluate(STORED)["records"]) == 1


def test_a_browser_that_forbids_storage_is_told(visit: Visit, service: ServiceProcess) -> None:
    page = visit(service.url)
    page.evaluate(
        """() => { indexedDB.open = () => { throw new DOMException("no", "SecurityError"); }; }"""
    )
    choose(page, lesion())
    predict(page)
    open_dialog(page)
    see_failure(page, "This browser lets no page keep anything")
    button(page, "Not now").click()
    expect(page.locator("#keep-dialog")).to_have_count(0)
    expect(open_section(page)).to_contain_text("This browser lets no page keep anything")


@pytest.fixture
def elsewhere(playwright: Playwright) -> Iterator[Browser]:
    """A browser that finds this machine under a name, for which it wants HTTPS."""
    rules = "--host-resolver-rules=MAP lentigo 127.0.0.1"
    launched = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, rules])
    yield launched
    launched.close()


def test_without_a_secure_connection_it_says_so(
    elsewhere: Browser, service: ServiceProcess
) -> None:
    context = elsewhere.new_context()
    context.set_default_timeout(DEADLINE_S * 1000)
    page = context.new_page()
    page.goto(service.url.replace("127.0.0.1", "lentigo"))
    page.locator("body.loaded").wait_for()
    assert not page.evaluate("() => isSecureContext")
    choose(page, lesion())
    predict(page)
    open_dialog(page)
    see_failure(page, "only where the page came over HTTPS")
    context.close()


def test_two_tabs_set_no_two_passphrases(predicted: Page, service: ServiceProcess) -> None:
    other = predicted.context.new_page()
    other.goto(service.url)
    other.locator("body.loaded").wait_for()
    choose(other, lesion("nv"))
    predict(other)
    late = open_dialog(other)
    keep_first(predicted)
    late.locator("#keep-new").fill("another passphrase altogether")
    late.locator("#keep-repeat").fill("another passphrase altogether")
    press_keep(other)
    see_failure(other, "A passphrase has just been set in another tab.")
    late.locator("#keep-passphrase").fill(PASSPHRASE)
    fill_and_keep(other)
    assert len(other.evaluate(STORED)["header"]) == 1


def test_what_one_tab_deletes_another_does_not_add_to(
    predicted: Page, service: ServiceProcess
) -> None:
    keep_first(predicted)
    section = open_section(predicted)
    expect(section.locator("h4")).to_have_count(1)
    choose(predicted, lesion("nv"))
    predict(predicted)
    dialog = open_dialog(predicted)
    other = predicted.context.new_page()
    other.goto(service.url)
    open_section(other)
    button(other, "Delete all kept results").click()
    button(other, "Delete them").click()
    # The list of the first tab goes at once, and its key opens nothing any more.
    expect(section).to_contain_text("No result is kept on this device.")
    press_keep(predicted)
    see_failure(predicted, "It has been locked in the meantime.")
    assert predicted.evaluate(STORED)["records"] == []
    dialog.locator("#keep-new").fill(PASSPHRASE)
    dialog.locator("#keep-repeat").fill(PASSPHRASE)
    fill_and_keep(predicted)
