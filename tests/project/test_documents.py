"""The documents, held to the code."""

import json
import os
import re
import subprocess
import tomllib
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.core import TyperGroup

from lentigo_contract.decision import decide, malignant_probability
from lentigo_contract.labels import CODES, DIAGNOSES
from lentigo_contract.manifest.manifest import Manifest
from lentigo_inference.app import create_app
from lentigo_inference.cli import app as inference_app
from lentigo_inference.problem_types import INTERNAL, INVALID_PARAMETER, PROBLEMS, ProblemType
from lentigo_inference.settings import Settings, environment_name
from lentigo_trainer.cli.main import app as trainer_app

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PACKAGES = (
    ROOT / "shared/src/lentigo_contract",
    ROOT / "services/inference/src/lentigo_inference",
    ROOT / "services/trainer/src/lentigo_trainer",
    ROOT / "services/gateway/src/lentigo_gateway",
)
# Written by commands, and held to them by other tests.
GENERATED = {
    DOCS / "model-card.md",
    DOCS / "benchmark/README.md",
    DOCS / "compression/README.md",
}


def rows(document: str, first: str) -> dict[str, list[str]]:
    """The rows of a document's tables whose first cell matches, by that cell."""
    text = (DOCS / document).read_text()
    cells = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    )
    return {row[0].strip("`"): row[1:] for row in cells if re.fullmatch(first, row[0])}


def test_the_reference_lists_every_setting_and_no_other() -> None:
    listed = rows("reference/settings.md", r"`LENTIGO_\w+`")
    assert set(listed) == {environment_name(field) for field in Settings.model_fields}


@pytest.mark.parametrize("field", Settings.model_fields)
def test_the_reference_has_each_default(field: str) -> None:
    _unit, told, does = rows("reference/settings.md", r"`LENTIGO_\w+`")[environment_name(field)]
    info = Settings.model_fields[field]
    if info.default_factory is not None:
        assert told == ("by threads" if field == "decode_memory" else "one a core")
    elif info.default in (None, "", ()):
        assert told == "none"
    else:
        assert told.strip("`").lower() == str(info.default).lower()
    assert does


@pytest.mark.parametrize(
    "problem", [INTERNAL, INVALID_PARAMETER, *PROBLEMS.values()], ids=lambda problem: problem.slug
)
def test_the_reference_lists_every_error(problem: ProblemType) -> None:
    text = (DOCS / "reference/errors.md").read_text()
    assert f"| {problem.status} | `{problem.slug}` |" in text


def test_the_reference_lists_every_endpoint() -> None:
    told = set(rows("reference/rest-api.md", r"`(GET|POST) /.*`"))
    served = {
        f"{method.upper()} {path}"
        for path, methods in create_app(Settings()).openapi()["paths"].items()
        for method in methods
    }
    assert served <= told


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def documents() -> list[Path]:
    """Every Markdown document that a person wrote and that is tracked, or about to be."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = [ROOT / name for name in listing.stdout.splitlines()]
    return [
        path
        for path in paths
        if path.is_file()
        and not path.is_relative_to(ROOT / "models")
        and "vendor" not in path.parts
    ]


def without_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def anchors(document: Path) -> set[str]:
    """What a link into a document may name, as GitHub and MkDocs make it from the headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("document", documents(), ids=relative)
def test_every_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", without_code(document.read_text()))
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("document", documents(), ids=relative)
def test_no_document_names_a_machine_or_a_registry(document: Path) -> None:
    text = document.read_text()
    assert re.search(r"(?<![\w.])/(?:work|tmp|root|home)/", text) is None
    assert re.search(r"pypi\.org/simple|files\.pythonhosted|registry\.npmjs", text) is None


@pytest.mark.parametrize("document", sorted(GENERATED | {ROOT / "README.md"}), ids=relative)
def test_the_notice_stands_at_the_top_of_what_names_results(document: Path) -> None:
    assert "Research use only. Not a medical device." in "\n".join(
        document.read_text().splitlines()[:10]
    )


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def json_blocks(document: str) -> list[dict[str, Any]]:
    blocks = re.findall(r"```json\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    return [json.loads(block) for block in blocks]


def test_the_answer_in_the_readme_has_the_members_of_the_interface() -> None:
    (answer,) = json_blocks("README.md")
    schemas = create_app(Settings()).openapi()["components"]["schemas"]

    def check(value: object, schema: dict[str, Any]) -> None:
        if "$ref" in schema:
            check(value, schemas[schema["$ref"].rpartition("/")[2]])
        elif isinstance(value, list):
            for each in value:
                check(each, schema["items"])
        elif isinstance(value, dict):
            (kind,) = [each for each in schema.get("anyOf", [schema]) if each != {"type": "null"}]
            if "$ref" in kind:
                check(value, kind)
                return
            assert set(kind["required"]) <= set(value) <= set(kind["properties"])
            for name, each in value.items():
                check(each, kind["properties"][name])

    operation = create_app(Settings()).openapi()["paths"]["/v1/predictions"]["post"]
    check(answer, operation["responses"]["200"]["content"]["application/json"]["schema"])


def test_the_numbers_of_the_answer_in_the_readme_fit_together() -> None:
    (answer,) = json_blocks("README.md")
    ranked = answer["probabilities"]
    by_code = {each["code"]: each for each in ranked}
    assert [each["probability"] for each in ranked] == sorted(
        (each["probability"] for each in ranked), reverse=True
    )
    assert sum(each["probability"] for each in ranked) == pytest.approx(1, abs=1e-6)
    assert {code: each["name"] for code, each in by_code.items()} == {
        each.code: each.name for each in DIAGNOSES
    }
    assert {code for code, each in by_code.items() if each["malignant"]} == {
        each.code for each in DIAGNOSES if each.malignant
    }
    assert answer["malignancy"]["refer"] is True
    first = {key: ranked[0][key] for key in ("code", "name", "probability")}
    assert answer["most_probable"] == first


def test_the_answer_in_the_readme_is_decided_as_the_shipped_version_decides() -> None:
    (answer,) = json_blocks("README.md")
    (path,) = (ROOT / "models/lentigo").glob("*/manifest.json")
    shipped = Manifest.read(path)
    by_code = {each["code"]: each["probability"] for each in answer["probabilities"]}
    probabilities = np.array([by_code[code] for code in CODES])

    assert answer["model"]["version"] == str(shipped.version)
    assert answer["diagnosis"]["code"] == CODES[decide(probabilities, shipped.prevalence)]
    assert answer["diagnosis"]["probability"] == by_code[answer["diagnosis"]["code"]]
    malignant = malignant_probability(probabilities, shipped.malignancy_calibration)
    assert answer["malignancy"]["probability"] == pytest.approx(float(malignant), abs=1e-6)
    assert answer["malignancy"]["threshold"] == shipped.thresholds.malignancy


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_the_map_in_the_readme_has_every_folder_of_a_package(package: Path) -> None:
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    mapped = re.findall(r"(?<!\w)(\w+)/(?!\w)", (ROOT / "README.md").read_text())
    assert folders <= set(mapped)


@pytest.mark.parametrize(
    "document", ["CONTRIBUTING.md", "docs/decisions/0019-folders-by-feature.md"]
)
@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_the_layers_in_a_document_are_those_that_are_held(package: Path, document: str) -> None:
    text = (ROOT / document).read_text()
    block = re.search(rf"^ *{package.name} {{2,}}(.+(?:\n +>.*)*)$", text, re.MULTILINE)
    assert block is not None
    told = re.findall(r"\w+", block[1])
    assert {path.parent.name for path in package.glob("*/__init__.py")} <= set(told)
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    for contract in tool["contracts"]:
        if contract["type"] == "layers" and contract.get("containers") == [package.name]:
            layers = [re.findall(r"\w+", layer) for layer in contract["layers"]]
            heights = [
                height for name in told for height, layer in enumerate(layers) if name in layer
            ]
            assert len(heights) == len(told)
            assert heights == sorted(heights)


def test_the_overview_lists_every_decision_by_its_title() -> None:
    overview = (DOCS / "decisions/README.md").read_text()
    told = re.findall(r"^\| (\d+) \| \[(.+)\]\((.+)\) \| \S+ \|$", overview, re.MULTILINE)
    expected = []
    for path in sorted((DOCS / "decisions").glob("[0-9]*.md")):
        heading = re.match(r"# (\d+)\. (.+)\n\nDate: (\S+)\. Status: ", path.read_text())
        assert heading is not None, path.name
        expected.append((heading[1], heading[2], path.name))
    assert told == expected


def test_the_reference_lists_every_field_of_the_manifest() -> None:
    cells = rows("reference/model-repository.md", r"`[a-z_]+`(?:, `[a-z_]+`)*")
    codes = {diagnosis.code for diagnosis in DIAGNOSES}
    listed = {name for cell in cells for name in re.findall(r"\w+", cell)} - codes
    assert listed == set(Manifest.model_fields)


def test_the_reference_lists_the_diagnoses_in_the_order_of_the_output() -> None:
    codes = [diagnosis.code for diagnosis in DIAGNOSES]
    found = rows("reference/model-repository.md", r"`[a-z]+`")
    listed = [(code, *cells) for code, cells in found.items() if code in codes]
    assert listed == [(d.code, d.name, "yes" if d.malignant else "no") for d in DIAGNOSES]


def commands(program: str) -> list[tuple[str, list[str]]]:
    """Each use of a program in a code block of a document, with its arguments."""
    uses = []
    for document in documents():
        if document in GENERATED or document.name == "CHANGELOG.md":
            continue
        blocks = re.findall(r"```(?:console)?\n(.*?)```", document.read_text(), re.DOTALL)
        for line in "".join(blocks).replace("\\\n", " ").splitlines():
            found = re.search(rf"(?:^|[\s/]){program} +(\S.*)", line.partition(" # ")[0])
            if found:
                uses.append((relative(document), found[1].split()))
    return uses


def test_every_use_of_the_trainer_has_a_command_and_options_that_exist() -> None:
    known = {
        name: {option for parameter in command.params for option in parameter.opts}
        for name, command in typer.main.get_group(trainer_app).commands.items()
    }
    uses = commands("lentigo-train")
    assert uses
    for document, (command, *arguments) in uses:
        assert command in known, document
        options = {each for each in arguments if each.startswith("--")}
        assert options <= known[command], document


def test_every_use_of_the_service_has_a_command_and_arguments_that_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [each for each in os.environ if each.startswith("LENTIGO_")]:
        monkeypatch.delenv(name)
    # Documents name these once, where they are introduced.
    for name in ("LENTIGO_AUDIT_KEY", "LENTIGO_KEY_FILE"):
        monkeypatch.setenv(name, "somewhere")
    uses = commands("lentigo-inference")
    assert uses
    for document, words in uses:
        command: Any = typer.main.get_group(inference_app)
        arguments = list(takewhile(lambda word: word not in {">", "|", "..."}, words))
        while isinstance(command, TyperGroup) and arguments:
            name = arguments.pop(0)
            assert name in command.commands, document
            command = command.commands[name]
        # Raises what the program would print.
        command.make_context(document, arguments)


def test_every_target_of_make_in_a_document_exists() -> None:
    declared = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert declared is not None
    uses = commands("make")
    assert uses
    for document, (target, *_) in uses:
        assert target in declared[1].split(), document


def test_every_document_that_a_source_names_exists() -> None:
    listing = subprocess.run(
        ["git", "ls-files", "*.py", "*.toml", "*.yml", "*.json", ".env.example"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    named = [
        (source, name)
        for source in listing.stdout.splitlines()
        for name in re.findall(r"docs/[\w/-]+\.md", (ROOT / source).read_text())
    ]
    assert named
    assert [each for each in named if not (ROOT / each[1]).exists()] == []
