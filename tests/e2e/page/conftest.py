"""A browser, and the service it looks at."""

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from lentigo_contract.repository.store import ModelStore
from tests.e2e.service_process import DEADLINE_S, ServiceProcess, service_process
from tests.models import SavedModels

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Playwright

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

# As `lentigo-train evaluate` gives them, of no network.
MEASURED: Final = {
    name: {"value": value, "low": value - 0.1, "high": value + 0.05, "n": n, "reason": None}
    for name, value, n in (
        ("accuracy", 0.871, 938),
        ("balanced_accuracy", 0.742, 938),
        ("melanoma_sensitivity", 0.615, 39),
        ("majority_baseline", 0.801, 938),
    )
} | {"majority": "nv"}

CHROMIUM: Final = shutil.which("chromium")

DESKTOP: Final = {"width": 1280, "height": 860}


def missing() -> str | None:
    """What the page's tests lack on this machine, and how to get it."""
    if importlib.util.find_spec("playwright") is None:
        return "Playwright is not installed: make setup"
    if CHROMIUM is None:
        return "there is no command chromium: apt-get install chromium"
    return None


class Unseen(pytest.Item):
    """Stands for a file of tests whose imports would fail."""

    def runtest(self) -> None:
        pytest.skip(f"{missing()}")


class UnseenFile(pytest.Module):
    def collect(self) -> Iterator[pytest.Item]:
        yield Unseen.from_parent(self, name="page")


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> object:
    return UnseenFile.from_parent(parent, path=module_path) if missing() else None


@pytest.fixture(scope="session")
def playwright() -> Iterator["Playwright"]:
    """One for all browsers: a thread can have only one."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: "Playwright") -> Iterator["Browser"]:
    launched = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    yield launched
    launched.close()


@pytest.fixture(scope="session")
def models(saved_models: SavedModels, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version made in seconds; the shipped one may find drawn lesions unlike any it knows."""
    store = ModelStore(tmp_path_factory.mktemp("page") / "models")
    saved_models.publish(store, 3, metrics=MEASURED)
    return store.root


@pytest.fixture(scope="module")
def service(models: Path) -> Iterator[ServiceProcess]:
    with service_process(models) as running:
        running.logged("model in use")
        yield running


Visit = Callable[..., "Page"]
"""Opens the page of a service, in a context of its own; the options are those of a context."""


@pytest.fixture(scope="module")
def shipped() -> Iterator[ServiceProcess]:
    """The service with the version that ships, which has a network for browsers."""
    with service_process(SHIPPED, LENTIGO_ENGINE="litert") as running:
        running.logged("model in use")
        yield running


@pytest.fixture
def service_workers() -> str:
    """Blocked: Playwright may miss requests that it is to answer while a worker takes over.

    Tests of the worker override this with "allow".
    """
    return "block"


@pytest.fixture
def visit(browser: "Browser", service_workers: str) -> Iterator[Visit]:
    """Open the page; afterwards it has asked nobody else and complained of nothing."""
    complaints: list[str] = []
    asked: list[str] = []
    contexts: list[BrowserContext] = []
    urls = ["blob:"]

    def opened(url: str, **options: Any) -> "Page":
        usual = {"locale": "en-GB", "viewport": DESKTOP, "service_workers": service_workers}
        context = browser.new_context(**{**usual, **options})
        context.set_default_timeout(DEADLINE_S * 1000)
        contexts.append(context)
        urls.append(url)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on(
            "console",
            # The browser reports each answer of 400 and above by itself.
            lambda line: (
                complaints.append(line.text)
                if line.type == "error" and "Failed to load resource" not in line.text
                else None
            ),
        )
        context.on("request", lambda request: asked.append(request.url))
        page = context.new_page()
        page.goto(url)
        page.locator("body.loaded").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith(tuple(urls))] == []


@pytest.fixture
def page(visit: Visit, service: ServiceProcess) -> "Page":
    """The page on a desktop, in English."""
    return visit(service.url)


@pytest.fixture
def predicted(page: "Page") -> "Page":
    """The page with the answer for one image."""
    from tests.e2e.page.hands import choose, lesion, predict

    choose(page, lesion())
    predict(page)
    return page


@pytest.fixture
def module_page(visit: Visit, service: ServiceProcess) -> "Page":
    """A page whose modules can be imported one by one."""
    from tests.e2e.page.hands import serve_modules

    page = visit(service.url, service_workers="block")
    serve_modules(page)
    return page
