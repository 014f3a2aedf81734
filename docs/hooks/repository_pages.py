"""Show the repository's own documents, such as the changelog, as pages of the site.

The documents link to each other as files, so that the links work on the repository's host and in an
editor. This hook turns a link to a file outside `docs/` into one to its page, and leaves only the
text of a link to a file that has no page.
"""

import posixpath
import re
from pathlib import Path
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

# Documents of the root folder, and the pages they become. The site's own start page stands for the
# README.
PAGES: Final = {
    "CHANGELOG.md": "project/changelog.md",
    "CODE_OF_CONDUCT.md": "project/code-of-conduct.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "README.md": "index.md",
    "SECURITY.md": "project/security.md",
}
_DOCUMENTS: Final = {page: name for name, page in PAGES.items() if page != "index.md"}
DECISIONS: Final = "decisions"
# Where a link to a folder leads.
INDEX_NAMES: Final = ("index.md", "README.md")

_LINK: Final = re.compile(
    r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<target>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)"
)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List every decision in the navigation, where it has the folder."""
    folder = Path(config.docs_dir) / DECISIONS
    # The overview comes first and is the page of the section.
    names = sorted(path.name for path in folder.glob("*.md"))
    pages = [f"{DECISIONS}/{name}" for name in (names[-1], *names[:-1])]
    for section in config.nav or ():
        for entries in section.values():
            for entry in entries if isinstance(entries, list) else ():
                if isinstance(entry, dict) and entry.get("Decisions") == f"{DECISIONS}/":
                    entry["Decisions"] = pages
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each document of the root folder that has one."""
    root = Path(config.docs_dir).parent
    for name, page in PAGES.items():
        if page in _DOCUMENTS:
            files.append(File.generated(config, page, abs_src_path=str(root / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point each link that leaves `docs/` to the page of its file."""
    del config
    own = page.file.src_uri
    document = _DOCUMENTS.get(own, f"docs/{own}")

    def replaced(link: re.Match[str]) -> str:
        target = link["target"]
        if ":" in target:
            return link[0]
        file = posixpath.normpath(posixpath.join(posixpath.dirname(document), target))
        found = _page_of(file, files)
        if found is None:
            return link["text"]
        relative = posixpath.relpath(found, posixpath.dirname(own))
        return f"[{link['text']}]({relative}{link['anchor'] or ''})"

    return _LINK.sub(replaced, markdown)


def _page_of(file: str, files: Files) -> str | None:
    """Return the page, image or download that a file of the repository is in the site."""
    if file in PAGES:
        return PAGES[file]
    inside = file.removeprefix("docs/")
    candidates = (inside, *(posixpath.join(inside, name) for name in INDEX_NAMES))
    if inside == file:
        return None
    # An unknown file of `docs/` stays as it is, so that the strict build reports it.
    return next((each for each in candidates if files.get_file_from_path(each)), inside)
