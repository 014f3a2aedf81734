"""The compliance document, held to the tests that it names."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs/compliance.md"

STRIDE = set("STRIDE")


def named() -> list[str]:
    """Every test that the document names, as a path, perhaps with a function after it."""
    return sorted(set(re.findall(r"`(tests/[^`]+)`", DOCUMENT.read_text())))


def sections(level: str) -> Iterator[tuple[str, str]]:
    """The headings of a level, each with what stands below it."""
    parts = re.split(rf"^{level} (.+)$", DOCUMENT.read_text(), flags=re.MULTILINE)
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        yield heading, text.partition(f"\n{level[1:]} ")[0]


def rows(text: str) -> list[list[str]]:
    """The rows of the tables in a text, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if not set(row[0]) <= set("-: ") and row[0] != "Threat"]


def test_the_document_names_tests() -> None:
    assert len(named()) > 50


@pytest.mark.parametrize("name", named())
def test_every_test_that_is_named_exists(name: str) -> None:
    path, _, function = name.partition("::")
    assert (ROOT / path).exists()
    if function:
        tree = ast.parse((ROOT / path).read_text())
        defined = {
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert function in defined
    elif path.endswith(".py"):
        assert "def test_" in (ROOT / path).read_text()


def parts() -> dict[str, str]:
    return {heading: text for heading, text in sections("###") if "**S**" in text}


def test_the_threat_model_is_of_service_volume_and_gateway() -> None:
    assert [heading.split()[1] for heading in parts()] == ["service", "volume:", "gateway"]


@pytest.mark.parametrize("part", parts())
def test_every_part_is_looked_at_for_each_kind_of_threat(part: str) -> None:
    kinds = {kind for row in rows(parts()[part]) for kind in re.findall(r"\*\*([A-Z])\*\*", row[0])}
    assert kinds == STRIDE


@pytest.mark.parametrize("part", parts())
def test_every_defence_is_held_by_a_test(part: str) -> None:
    for threat, defence, held, remains in rows(parts()[part]):
        if defence == "-":
            # It says openly that there is none.
            assert held == "-"
            assert "not defended" in remains, threat
        else:
            assert "`tests/" in held, threat
