"""What the repository promises about itself."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import lentigo_contract
import lentigo_inference
import lentigo_trainer

ROOT = Path(__file__).parents[2]
PINNED = sorted((ROOT / "requirements").glob("*.txt"))
PYPROJECTS = [
    ROOT / "shared/pyproject.toml",
    ROOT / "services/trainer/pyproject.toml",
    ROOT / "services/inference/pyproject.toml",
]


def run_make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # `make test` hands its own flags and variables down; these runs start afresh.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def pins(file: Path) -> set[str]:
    """Each pinned package with its version and marker, as it stands in the file."""
    return set(
        re.findall(r"^([A-Za-z0-9][^\\\n]*==[^\\\n]*?) *\\?$", file.read_text(), re.MULTILINE)
    )


def test_no_image_of_the_data_set_is_tracked() -> None:
    listing = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert [name for name in listing.stdout.splitlines() if "ISIC_" in name] == []


@pytest.mark.parametrize(
    "file",
    [*PINNED, *PYPROJECTS, ROOT / "pyproject.toml"],
    ids=lambda file: str(file.relative_to(ROOT)),
)
def test_no_requirement_names_an_address_or_a_path(file: Path) -> None:
    text = file.read_text()
    assert "://" not in text
    assert re.search(r"(index-url|find-links|trusted-host)", text) is None
    assert re.search(r"(?:^|[\s\"'@(])/\w", text) is None


@pytest.mark.parametrize("file", PINNED, ids=lambda file: file.name)
def test_every_pin_has_a_hash(file: Path) -> None:
    entries = re.split(r"\n(?=[A-Za-z0-9])", file.read_text())[1:]
    assert entries
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("name", ["inference.txt", "trainer.txt"])
def test_one_environment_satisfies_every_pinned_file(name: str) -> None:
    assert pins(ROOT / "requirements" / name) - pins(ROOT / "requirements/dev.txt") == set()


@pytest.mark.parametrize("pyproject", PYPROJECTS, ids=lambda file: file.parent.name)
def test_the_pins_satisfy_what_each_distribution_declares(pyproject: Path) -> None:
    project = tomllib.loads(pyproject.read_text())["project"]
    declared = [*project["dependencies"]]
    for extra in project.get("optional-dependencies", {}).values():
        declared += extra
    pinned: dict[str, list[str]] = {}
    for pin in pins(ROOT / "requirements/dev.txt"):
        name, version = pin.partition(";")[0].strip().split("==")
        pinned.setdefault(canonicalize_name(name), []).append(version)
    for requirement in map(Requirement, declared):
        if requirement.name == "lentigo-contract":
            continue
        versions = pinned.get(canonicalize_name(requirement.name), [])
        assert versions, f"{requirement} is not pinned: run make lock"
        assert all(requirement.specifier.contains(version) for version in versions), requirement


def test_the_three_distributions_carry_one_version() -> None:
    versions = {
        lentigo_contract.__version__,
        lentigo_trainer.__version__,
        lentigo_inference.__version__,
    }
    assert len(versions) == 1


def test_make_alone_explains_every_target() -> None:
    declared = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert declared is not None
    targets = {target for target in declared[1].split() if not target.startswith(".")}
    explained = {
        line.split()[1] for line in run_make().stdout.splitlines() if len(line.split()) > 2
    }
    assert explained == targets


def test_training_without_a_source_is_a_one_line_error() -> None:
    result = run_make("train", "SOURCE=")
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert "SOURCE=dir" in result.stderr


def test_a_python_that_is_too_old_is_a_one_line_error(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    result = run_make("setup", f"VENV={tmp_path}/venv", f"PYTHON={python}")
    assert result.returncode == 2
    assert result.stderr.splitlines()[0].startswith("Lentigo needs Python 3.11")
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize("tool", ["ruff format --check", "ruff check", "mypy", "lint-imports"])
def test_make_check_runs(tool: str) -> None:
    assert tool in run_make("--dry-run", "check").stdout


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [path.name[:4] for path in sorted((ROOT / "docs/decisions").glob("*.md"))]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
