import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lentigo_trainer.cli.main import app
from lentigo_trainer.errors import ClusterError, RecipeError

TASK = json.dumps({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}})
WIDE = {"COLUMNS": "200", "TERM": "dumb"}


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    file = tmp_path / "s.toml"
    file.write_text('name = "s"\n[variants.a]\nfine_tuning.mixup = 0.1\n')
    return file


def run(*arguments: str | Path, **environment: str) -> Result:
    words = [*map(str, arguments), "--source", "none"]
    return CliRunner().invoke(app, words, env=WIDE | environment)


@pytest.mark.parametrize("command", ["benchmark", "sweep"])
def test_what_trains_many_networks_is_not_one_training(command: str, sweep: Path) -> None:
    words = [command, sweep] if command == "sweep" else [command]
    result = run(*words, TF_CONFIG=TASK)
    assert result.exit_code == 2
    assert "TF_CONFIG is for one training" in result.output


def test_ray_and_tf_config_exclude_each_other() -> None:
    result = run("run", "--ray", "a:1", TF_CONFIG=TASK)
    assert result.exit_code == 2
    assert "TF_CONFIG is for one training" in result.output


@pytest.mark.parametrize("command", ["run", "fit"])
def test_ray_needs_folds_to_train(command: str, tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text("epochs = 3\n")
    result = run(command, "--ray", "a:1", "--recipe", recipe)
    assert result.exit_code == 2
    assert "--ray trains the folds of a recipe" in result.output


def test_a_broken_tf_config_ends_the_run_before_anything_is_read() -> None:
    result = run("run", TF_CONFIG="{")
    assert isinstance(result.exception, ClusterError)
    assert "TF_CONFIG cannot be used" in str(result.exception)


def test_a_broken_sweep_ends_before_anything_is_read(tmp_path: Path) -> None:
    result = run("sweep", tmp_path / "none.toml")
    assert isinstance(result.exception, RecipeError)
