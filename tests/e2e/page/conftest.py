"""A browser, and the service it looks at."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from lentigo_contract.store import ModelStore
from tests.e2e.service_process import DEADLINE_S, ServiceProcess, service_process
from tests.models import SavedModels

CHROMIUM: Final = Path("/usr/bin/chromium")
SHIPPED: Final = Path(__file__).parents[3] / "models"

# A container has no sandbox to give and no display; and the browser itself shall call nobody.
ARGUMENTS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"there is no Chromium at {CHROMIUM}: apt-get install chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def models(
    browser: Browser, saved_models: SavedModels, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The shipped model where it is present, or else one that is made in seconds."""
    del browser  # Without one nothing else need be made.
    if ModelStore(SHIPPED).versions():
        return SHIPPED
    store = ModelStore(tmp_path_factory.mktemp("page") / "models")
    saved_models.publish(store, 3)
    return store.root


@pytest.fixture(scope="module")
def service(models: Path) -> Iterator[ServiceProcess]:
    with service_process(models) as running:
        running.logged("model in use")
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 860})
    made.set_default_timeout(DEADLINE_S * 1000)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext, service: ServiceProcess) -> Iterator[Page]:
    """The page, opened; afterwards it has asked nobody else and complained of nothing."""
    opened = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "console",
        # The browser reports each answer of 400 and above by itself.
        lambda line: (
            complaints.append(line.text)
            if line.type == "error" and "Failed to load resource" not in line.text
            else None
        ),
    )
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(service.url)
    opened.locator("body.loaded").wait_for()
    yield opened
    assert complaints == []
    assert {url for url in asked if not url.startswith((service.url, "blob:"))} == set()
