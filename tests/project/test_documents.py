"""The documents, held to the code."""

import re
from pathlib import Path

import pytest

from lentigo_inference.app import create_app
from lentigo_inference.problem_types import INTERNAL, INVALID_PARAMETER, PROBLEMS, ProblemType
from lentigo_inference.settings import Settings, environment_name

DOCS = Path(__file__).parents[2] / "docs"


def rows(document: str, first: str) -> dict[str, list[str]]:
    """The rows of a document's tables whose first cell matches, by that cell."""
    text = (DOCS / document).read_text()
    cells = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    )
    return {row[0].strip("`"): row[1:] for row in cells if re.fullmatch(first, row[0])}


def test_operations_lists_every_setting_and_no_other() -> None:
    listed = rows("operations.md", r"`LENTIGO_\w+`")
    assert set(listed) == {environment_name(field) for field in Settings.model_fields}


@pytest.mark.parametrize("field", Settings.model_fields)
def test_operations_tells_each_default(field: str) -> None:
    _unit, told, does = rows("operations.md", r"`LENTIGO_\w+`")[environment_name(field)]
    info = Settings.model_fields[field]
    if info.default_factory is not None:
        assert told == "one a core"
    elif info.default in (None, "", ()):
        assert told == "none"
    else:
        assert told.strip("`").lower() == str(info.default).lower()
    assert does


@pytest.mark.parametrize(
    "problem", [INTERNAL, INVALID_PARAMETER, *PROBLEMS.values()], ids=lambda problem: problem.slug
)
def test_the_interface_tells_of_every_error(problem: ProblemType) -> None:
    text = (DOCS / "api.md").read_text()
    assert f"| {problem.status} | `{problem.slug}` |" in text


def test_the_interface_tells_of_every_endpoint() -> None:
    told = set(rows("api.md", r"`(GET|POST) /.*`"))
    served = {
        f"{method.upper()} {path}"
        for path, methods in create_app(Settings()).openapi()["paths"].items()
        for method in methods
    }
    assert served <= told
