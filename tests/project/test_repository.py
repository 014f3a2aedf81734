"""What the repository promises about itself."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # `make test` hands its own flags and variables down; these runs start afresh.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_no_image_of_the_data_set_is_tracked() -> None:
    listing = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert [name for name in listing.stdout.splitlines() if "ISIC_" in name] == []


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


@pytest.mark.parametrize(
    "tool", ["ruff format --check", "ruff check", "mypy", "lint-imports", "mkdocs build --strict"]
)
def test_make_check_runs(tool: str) -> None:
    assert tool in run_make("--dry-run", "check").stdout


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [path.name[:4] for path in sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
