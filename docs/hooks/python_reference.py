"""Write a reference page for each package folder, from the docstrings.

The folders are found in the source tree, so a module that moves needs no change here. mkdocstrings
reads the sources without importing them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

SOURCES: Final = (
    "shared/src",
    "services/inference/src",
    "services/gateway/src",
    "services/trainer/src",
)
FOLDER: Final = "reference/python"

INTRODUCTION: Final = """# Python packages

Every public module, class and function, from its docstring. The packages are the project's own
parts: other programs talk to Lentigo over [REST](../rest-api.md), and no Python interface is
promised to stay as it is.

| Package | What it holds |
| --- | --- |
"""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages into the navigation, below the other reference pages."""
    packages = [
        {package.name: [_entry(package, *each) for each in _folders(package).items()]}
        for package in _packages(config)
    ]
    tree = [f"{FOLDER}/index.md", *packages]
    for section in config.nav or ():
        if isinstance(section, dict) and "Reference" in section:
            section["Reference"].append({"Python packages": tree})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    overview = INTRODUCTION
    for package in _packages(config):
        overview += f"| [{package.name}]({package.name}/index.md) | {_purpose(package)} |\n"
        for page, folder in _folders(package).items():
            files.append(File.generated(config, f"{FOLDER}/{page}", content=_page(package, folder)))
    files.append(File.generated(config, f"{FOLDER}/index.md", content=overview))
    return files


def _packages(config: MkDocsConfig) -> Iterator[Path]:
    root = Path(config.docs_dir).parent
    for source in SOURCES:
        yield from sorted(path.parent for path in (root / source).glob("*/__init__.py"))


def _folders(package: Path) -> dict[str, Path]:
    """Return the folders with public modules, by the address of their page."""
    folders = {folder for folder in package.rglob("*/") if _modules(folder)} | {package}
    return {_address(package, folder): folder for folder in sorted(folders)}


def _entry(package: Path, page: str, folder: Path) -> object:
    """Return a page's entry in the navigation; the package's own page is that of the section."""
    name = ".".join(folder.relative_to(package).parts)
    return {name: f"{FOLDER}/{page}"} if name else f"{FOLDER}/{page}"


def _address(package: Path, folder: Path) -> str:
    parts = folder.relative_to(package).parts
    name = "-".join(parts) if parts else "index"
    return f"{package.name}/{name}.md"


def _modules(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))


def _page(package: Path, folder: Path) -> str:
    name = ".".join(folder.relative_to(package.parent).parts)
    lines = [f"---\ntitle: {name}\n---\n\n# {name}\n"]
    if (folder / "__init__.py").exists():
        lines.append(
            f"::: {name}\n    options:\n      members: false\n      show_root_heading: false\n"
            "      show_root_toc_entry: false\n"
        )
    lines += [f"::: {name}.{module}\n" for module in _modules(folder)]
    return "\n".join(lines)


def _purpose(package: Path) -> str:
    """Return the first line of a package's docstring."""
    text = (package / "__init__.py").read_text().strip('"\n ')
    return " ".join(text.split("\n\n")[0].split()).split('"""')[0]
