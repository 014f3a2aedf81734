from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_contract.repository.store import ModelStore, StoredVersion
from lentigo_trainer.cli import main
from lentigo_trainer.errors import EvaluationReportError
from lentigo_trainer.evaluation.report import write_evaluation_report
from tests.models import publish_plain
from tests.trainer.evaluation.cards import made_card


@pytest.fixture
def stored(tmp_path: Path) -> StoredVersion:
    return publish_plain(ModelStore(tmp_path / "models"), seed=1)


@pytest.fixture
def files(stored: StoredVersion, tmp_path: Path) -> Path:
    """A folder with figures of the version, on two sets, and of another version."""
    ours = partial(made_card, 60, version=stored.version, manifest=stored.manifest)
    for name, made in {
        "hold-out": ours(),
        "validation": ours(seed=2),
        "paper": made_card(60, version=7, skill=1.0),
        "elsewhere": made_card(n=50, version=7),
    }.items():
        write_evaluation_report(tmp_path / f"{name}.json", made, with_answers=True)
    return tmp_path


def card(files: Path, stored: StoredVersion, *options: str) -> Result:
    """Run the command with figures of `stored` on the first set."""
    arguments = ["--model", str(stored.path), "--evaluation", str(files / "hold-out.json")]
    to = ["--to", str(files / "docs" / "model-card.md")]
    return CliRunner().invoke(main.app, ["card", *arguments, *to, *options])


def test_the_card_and_its_pictures_are_written(files: Path, stored: StoredVersion) -> None:
    also = ["--also", str(files / "validation.json")]
    ended = card(files, stored, *also, "--beside", f"the paper's recipe={files / 'paper.json'}")
    assert ended.exit_code == 0, ended.output
    assert RESEARCH_NOTICE in ended.output
    text = (files / "docs" / "model-card.md").read_text()
    assert "### Beside the paper's recipe" in text
    for name in ("sensitivity", "reliability"):
        address = f"images/model-card-{name}.svg"
        assert f"]({address})" in text
        assert (files / "docs" / address).is_file()


def test_pictures_can_be_left_out(files: Path, stored: StoredVersion) -> None:
    assert card(files, stored, "--no-pictures").exit_code == 0
    assert not (files / "docs" / "images").exists()
    assert "![" not in (files / "docs" / "model-card.md").read_text()


def test_a_version_beside_it_is_called_by_its_name_unless_told(
    files: Path, stored: StoredVersion
) -> None:
    named = files / "a=b.json"
    named.write_bytes((files / "paper.json").read_bytes())
    assert card(files, stored, "--no-pictures", "--beside", str(named)).exit_code == 0
    assert "### Beside lentigo 7" in (files / "docs" / "model-card.md").read_text()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--beside", "elsewhere.json"], "cannot stand beside each other"),
        (["--also", "paper.json"], "the card is of lentigo 1"),
        (["--also", "missing.json"], "cannot be read"),
    ],
)
def test_figures_that_do_not_fit_are_refused_and_nothing_is_written(
    options: list[str], told: str, files: Path, stored: StoredVersion
) -> None:
    option, name = options
    ended = card(files, stored, option, str(files / name))
    assert isinstance(ended.exception, EvaluationReportError)
    assert told in str(ended.exception)
    assert not (files / "docs").exists()
