"""The documentation site, as it is built."""

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import typer

from lentigo_inference.app import create_app
from lentigo_inference.settings import Settings
from lentigo_trainer.cli.main import app as trainer_app

ROOT = Path(__file__).parents[2]
HOOKS = ROOT / "docs/hooks"

# What makes a browser ask for something without a click.
LOADING = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "object": "data",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site without the pages from docstrings, which take most of the time to build."""
    folder = tmp_path_factory.mktemp("site")
    hooks = [path for path in HOOKS.glob("*.py") if path.name != "python_reference.py"]
    configuration = folder / "mkdocs.yml"
    configuration.write_text(
        f"INHERIT: {ROOT / 'mkdocs.yml'}\n"
        f"docs_dir: {ROOT / 'docs'}\n"
        f"hooks: [{', '.join(map(str, hooks))}]\n"
        "plugins: [search]\n"
        "watch: []\n"
    )
    built = folder / "built"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    arguments = ["--config-file", str(configuration), "--site-dir", str(built)]
    subprocess.run([*command, *arguments], cwd=ROOT, check=True)
    return built


class _Loaded(HTMLParser):
    """Collects the addresses that a page loads from."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        # A canonical address, and those of the next and the previous page, are not loaded.
        if values.get("rel") in {"canonical", "next", "prev"}:
            return
        address = values.get(LOADING.get(tag, ""))
        if address:
            self.addresses.append(address)


def loaded(site: Path) -> Iterator[tuple[str, str]]:
    for page in site.rglob("*.html"):
        parser = _Loaded()
        parser.feed(page.read_text())
        for address in parser.addresses:
            yield page.name, address
    for style in site.rglob("*.css"):
        for address in re.findall(r"(?:url\(|@import )[\"']?([^\"')]+)", style.read_text()):
            yield style.name, address


def test_no_page_asks_another_host_for_anything(site: Path) -> None:
    addresses = list(loaded(site))
    assert addresses
    assert [each for each in addresses if re.match(r"(?:\w+:)?//", each[1])] == []


def test_no_diagram_needs_the_script_that_the_theme_loads_from_elsewhere(site: Path) -> None:
    assert [page for page in site.rglob("*.html") if 'class="mermaid"' in page.read_text()] == []


def test_the_reference_has_every_endpoint(site: Path) -> None:
    page = (site / "reference/rest-api/index.html").read_text()
    for path, methods in create_app(Settings()).openapi()["paths"].items():
        for method in methods:
            assert f"<code>{method.upper()} {path}</code>" in page


def test_the_reference_has_every_command_of_the_trainer(site: Path) -> None:
    page = (site / "reference/lentigo-train/index.html").read_text()
    commands = typer.main.get_group(trainer_app).commands
    assert commands
    for name in commands:
        assert f"<code>lentigo-train {name}</code>" in page


def test_the_reference_has_the_commands_of_the_service(site: Path) -> None:
    page = (site / "reference/lentigo-inference/index.html").read_text()
    for command in ("keys add", "keys list", "keys remove", "seed"):
        assert f"<code>lentigo-inference {command}</code>" in page


@pytest.mark.parametrize("name", ["changelog", "contributing", "security", "code-of-conduct"])
def test_documents_of_the_root_folder_are_pages(site: Path, name: str) -> None:
    page = (site / f"project/{name}/index.html").read_text()
    assert "<h1" in page
    # Links to files have become links to pages.
    assert re.search(r'href="[^":]*\.md', page) is None


def test_every_decision_is_in_the_navigation(site: Path) -> None:
    page = (site / "decisions/index.html").read_text()
    for path in (ROOT / "docs/decisions").glob("[0-9]*.md"):
        assert f'href="{path.stem}/"' in page
