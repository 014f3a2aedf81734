"""The page and a service that wants a key."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lentigo_inference.security.api_keys import Scope, add_key, make_key
from tests.e2e.page.conftest import Visit
from tests.e2e.page.hands import button, choose, lesion, open_image, see_problem, see_result
from tests.e2e.service_process import ServiceProcess, service_process


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "keys.json"


@pytest.fixture(scope="module")
def keys(key_file: Path) -> dict[Scope, str]:
    made = {scope: make_key(scope, frozenset({scope})) for scope in Scope}
    for record, _text in made.values():
        add_key(key_file, record)
    return {scope: text for scope, (_record, text) in made.items()}


@pytest.fixture(scope="module")
def locked(models: Path, key_file: Path, keys: dict[Scope, str]) -> Iterator[ServiceProcess]:
    assert keys
    with service_process(models, LENTIGO_KEY_FILE=str(key_file)) as running:
        running.logged("model in use")
        yield running


def enter(page: Page, key: str) -> None:
    field = page.get_by_label("Key", exact=True)
    expect(field).to_have_value("")
    field.fill(key)
    button(page, "Use this key").click()


def test_a_key_is_asked_for_until_it_is_right(
    visit: Visit, locked: ServiceProcess, keys: dict[Scope, str]
) -> None:
    page = visit(locked.url)
    expect(page.locator("#model")).to_contain_text("visible with a key")
    choose(page, lesion("mel"), lesion("nv"))
    button(page, "Predict all").click()
    enter(page, "lentigo_wrong")
    enter(page, keys[Scope.PREDICT])
    expect(page.locator("tbody tr.done")).to_have_count(2)
    open_image(page, 0)
    see_result(page)
    expect(page.locator("#model")).to_contain_text("Model lentigo, version")


def test_what_the_device_may_keep_is_told_with_a_key(
    visit: Visit, locked: ServiceProcess, keys: dict[Scope, str]
) -> None:
    page = visit(locked.url)
    page.get_by_text("Answer without a network").click()
    section = page.locator("#offline-body")
    expect(section).to_contain_text("wants a key before it offers this")
    button(page, "Enter the key").click()
    enter(page, "lentigo_wrong")
    expect(section).to_contain_text("wants a key before it offers this")
    button(page, "Enter the key").click()
    enter(page, keys[Scope.PREDICT])
    # This version has no network for a browser.
    expect(section).to_contain_text("does not offer this")


def test_a_key_is_kept_for_the_session_of_this_tab_and_nowhere_else(
    visit: Visit, locked: ServiceProcess, keys: dict[Scope, str]
) -> None:
    page = visit(locked.url)
    choose(page, lesion())
    button(page, "Predict").click()
    enter(page, keys[Scope.PREDICT])
    see_result(page)
    page.reload()
    expect(page.locator("#model")).to_contain_text("Model lentigo, version")
    assert page.evaluate("localStorage.length") == 0
    assert page.context.cookies() == []
    assert keys[Scope.PREDICT] not in page.url
    other = page.context.new_page()
    other.goto(locked.url)
    expect(other.locator("#model")).to_contain_text("visible with a key")


def test_without_a_key_the_page_explains_what_is_missing(
    visit: Visit, locked: ServiceProcess
) -> None:
    page = visit(locked.url)
    choose(page, lesion())
    button(page, "Predict").click()
    button(page, "Not now").click()
    expect(see_problem(page, "A key is needed")).to_contain_text("Enter the key")
    button(page, "Try again").click()
    expect(page.get_by_label("Key", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    see_problem(page, "A key is needed")


def test_a_key_of_another_scope_can_be_replaced(
    visit: Visit, locked: ServiceProcess, keys: dict[Scope, str]
) -> None:
    page = visit(locked.url)
    choose(page, lesion())
    button(page, "Predict").click()
    enter(page, keys[Scope.METRICS])
    see_problem(page, "This key may not predict")
    button(page, "Try again").click()
    enter(page, keys[Scope.PREDICT])
    see_result(page)


def test_an_invalid_key_is_not_sent(visit: Visit, locked: ServiceProcess) -> None:
    page = visit(locked.url)
    choose(page, lesion())
    button(page, "Predict").click()
    enter(page, "ключ")
    expect(page.locator("#key:invalid")).to_be_visible()
    button(page, "Not now").click()
    see_problem(page, "A key is needed")


def test_a_key_where_storage_is_forbidden_lasts_as_long_as_the_page(
    visit: Visit, locked: ServiceProcess, keys: dict[Scope, str]
) -> None:
    page = visit(locked.url)
    page.evaluate(
        """() => Object.defineProperty(window, "sessionStorage", {
            get() { throw new DOMException("no", "SecurityError"); },
        })"""
    )
    choose(page, lesion("mel"), lesion("nv"))
    button(page, "Predict").click()
    expect(page.locator("#key-forbidden")).to_contain_text("forgotten when this page is closed")
    enter(page, keys[Scope.PREDICT])
    see_result(page)
    page.locator(".item").nth(1).click()
    button(page, "Predict").click()
    see_result(page)
