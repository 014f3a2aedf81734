import json
from pathlib import Path
from shutil import copytree

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from lentigo_trainer.baselines.run import binary_metrics
from lentigo_trainer.cli.main import app
from lentigo_trainer.errors import DamagedCacheError, WorkFolderError
from tests.fakes import synthetic_ham10000

WIDE = {"COLUMNS": "200", "TERM": "dumb"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_ham10000(tmp_path_factory.mktemp("data") / "ham", 16, "folders", size=(80, 60))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


def run(*arguments: str | Path) -> Result:
    command = ["baseline", *map(str, arguments), "--workers", "1"]
    return CliRunner().invoke(app, command, env=WIDE)


@pytest.mark.parametrize("system", ["xie", "aswin"])
def test_a_baseline_is_measured_on_the_folds_of_the_networks(
    source: Path, work: Path, system: str
) -> None:
    result = run(system, "--source", source, "--work", work)
    assert result.exit_code == 0, result.output
    assert "in 5 folds" in result.output
    assert "Not a medical device" in result.output
    folder = work / "baselines" / system
    for page in ("out-of-fold", "validation"):
        assert "Not a medical device" in (folder / "report" / page / "index.html").read_text()
    metrics = json.loads((folder / "report" / "baseline.json").read_text())
    assert metrics["limit"] is None
    assert 0 <= metrics["binary"]["auc"]["value"] <= 1
    answers = pd.read_csv(folder / "out-of-fold.csv.gz")
    assert len(answers) == metrics["images"]
    assert sorted(answers["fold"].unique()) == [1, 2, 3, 4, 5]


def test_its_answers_are_read_by_compare_and_stand_beside_a_network(
    source: Path, work: Path
) -> None:
    assert run("aswin", "--source", source, "--work", work).exit_code == 0
    ours = work / "baselines" / "aswin" / "out-of-fold.csv.gz"
    compared = CliRunner().invoke(app, ["compare", str(ours), "--source", str(source)], env=WIDE)
    assert compared.exit_code == 0, compared.output
    beside = run("aswin", "--source", source, "--work", work, "--beside", ours)
    assert beside.exit_code == 0, beside.output
    assert "| Balanced accuracy |" in beside.output
    assert "+0.0 points (+0.0 to +0.0)" in beside.output


def test_a_second_run_computes_nothing_again(source: Path, work: Path) -> None:
    first = run("aswin", "--source", source, "--work", work)
    features = work / "baselines" / "aswin" / "features" / "0000.npz"
    answers = work / "baselines" / "aswin" / "answers" / "fold_1.npz"
    before = [file.stat().st_mtime_ns for file in (features, answers)]
    second = run("aswin", "--source", source, "--work", work)
    assert [file.stat().st_mtime_ns for file in (features, answers)] == before
    assert first.stdout == second.stdout


def test_an_ablation_leaves_out_each_part(source: Path, work: Path) -> None:
    assert run("aswin", "--source", source, "--work", work).exit_code == 0
    answers = work / "baselines" / "aswin" / "answers" / "fold_1.npz"
    before = answers.stat().st_mtime_ns
    result = run("aswin", "--source", source, "--work", work, "--ablation")
    assert result.exit_code == 0, result.output
    assert "## What each part adds" in result.output
    assert answers.stat().st_mtime_ns == before
    report = json.loads((work / "baselines" / "aswin" / "report" / "baseline.json").read_text())
    whole, parts = report["binary"]["auc"]["value"], report["ablation"]
    assert {name: part["features"] for name, part in parts.items()} == {
        "without texture": 9,
        "without colour": 8,
        "without the genetic algorithm": 17,
    }
    for part in parts.values():
        assert part["lost"]["value"] == pytest.approx(whole - part["auc"]["value"])
        assert part["lost"]["low"] <= part["lost"]["value"] <= part["lost"]["high"]


def test_kept_answers_that_cannot_be_read_are_named(
    source: Path, work: Path, tmp_path: Path
) -> None:
    assert run("aswin", "--source", source, "--work", work, "--ablation").exit_code == 0
    copytree(work, tmp_path / "copy")
    for part in ("answers", "ablation/without_colour"):
        file = tmp_path / "copy" / "baselines" / "aswin" / part / "fold_2.npz"
        whole = file.read_bytes()
        file.write_bytes(whole[:100])
        result = run("aswin", "--source", source, "--work", tmp_path / "copy", "--ablation")
        assert isinstance(result.exception, DamagedCacheError)
        assert str(file) in str(result.exception)
        file.write_bytes(whole)


def test_another_data_set_in_the_same_folder_is_refused(
    source: Path, work: Path, tmp_path: Path
) -> None:
    assert run("aswin", "--source", source, "--work", work).exit_code == 0
    other = synthetic_ham10000(tmp_path / "ham", 17, "folders", size=(40, 30))
    result = run("aswin", "--source", other, "--work", work)
    assert isinstance(result.exception, WorkFolderError)


def test_a_quick_run_says_so(source: Path, tmp_path: Path) -> None:
    result = run("aswin", "--source", source, "--work", tmp_path, "--limit", "60")
    assert result.exit_code == 0, result.output
    assert "Its figures are worth nothing" in result.output
    assert "in 2 folds" in result.output


def test_the_binary_question_is_measured_beside_always_saying_benign() -> None:
    labels = np.array([5, 5, 5, 4, 1, 0], np.int64)
    malignant = np.array([0.1, 0.6, 0.2, 0.9, 0.4, 0.7])
    found = binary_metrics(labels, malignant, np.arange(6).astype(str))
    values = {name: each.value for name, each in found.items()}
    assert values["always_benign"] == pytest.approx(0.5)
    assert values["sensitivity"] == pytest.approx(2 / 3)
    assert values["specificity"] == pytest.approx(2 / 3)
    assert values["auc"] == pytest.approx(8 / 9)
