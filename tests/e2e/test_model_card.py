"""The model card by the very commands that the documentation gives."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_contract.repository.store import ModelStore
from lentigo_trainer.cli import main
from tests.fakes import synthetic_ham10000
from tests.models import SavedModels
from tests.trainer.data.extra.made_up_set import made_up_set

DOCUMENT = Path(__file__).parents[2] / "docs" / "how-to" / "evaluate.md"


def documented() -> list[list[str]]:
    """The arguments of every command in the section on the card."""
    section = DOCUMENT.read_text().split("## Write the model card")[1].split("\n## ")[0]
    commands = re.findall(r"^\.venv/bin/lentigo-train (.+)$", section, re.MULTILINE)
    return [shlex.split(command) for command in commands]


def test_the_documented_commands_write_a_card(
    tmp_path: Path, saved_models: SavedModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthetic_ham10000(tmp_path / "ham10000", 12, size=(64, 48))
    for seed in range(4):
        saved_models.publish(ModelStore(tmp_path / "models"), seed=seed)
    (tmp_path / "sets").mkdir()
    made = made_up_set(tmp_path / "isic2017", {"nv": 12, "mel": 6, "bkl": 6}, kept_out_share=0.5)
    made.rename(tmp_path / "sets/isic2017")
    monkeypatch.chdir(tmp_path)
    commands = documented()
    assert [command[0] for command in commands] == ["evaluate", "evaluate", "card"]
    for command in commands:
        ended = CliRunner().invoke(main.app, command)
        assert ended.exit_code == 0, ended.output
        assert RESEARCH_NOTICE in ended.output
    card = (tmp_path / "docs" / "model-card.md").read_text()
    first = card.index("### On the paper's validation images")
    assert first < card.index("### On the kept-out part of")
    for address in re.findall(r"\]\((images/\S+)\)", card):
        assert (tmp_path / "docs" / address).is_file()
