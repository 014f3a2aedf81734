from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from lentigo_contract.labels import index_of
from lentigo_trainer.calibration.cross_validation import MEASURED
from lentigo_trainer.cli.main import app
from lentigo_trainer.data.out_of_fold import OutOfFold, write_answers
from lentigo_trainer.errors import EvaluationReportError
from lentigo_trainer.reporting.text import out_of_fold_name
from tests.fakes import synthetic_ham10000

WIDE = {"COLUMNS": "200", "TERM": "dumb"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_ham10000(tmp_path_factory.mktemp("data") / "ham", 12, "folders", size=(8, 6))


def answers(source: Path, folder: Path, name: str, skill: float) -> Path:
    records = pd.read_csv(source / "HAM10000_metadata.csv")
    labels = np.array([index_of(code) for code in records["dx"]])
    count = len(labels)
    lesions = pd.factorize(records["lesion_id"])[0]
    logits = np.random.default_rng(2).normal(0, 1, (count, 7)) + skill * np.eye(7)[labels]
    made = OutOfFold(
        np.arange(count), lesions % 2 + 1, logits.astype(np.float32), np.ones(count, np.float32)
    )
    file = folder / name / "out-of-fold.csv.gz"
    file.parent.mkdir()
    write_answers(file, made, records["image_id"].to_numpy(str))
    return file


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["compare", *map(str, arguments)], env=WIDE)


def test_one_file_is_measured(source: Path, tmp_path: Path) -> None:
    result = run(answers(source, tmp_path, "plain", 2.0), "--source", source)
    assert result.exit_code == 0, result.output
    assert "Difference" not in result.output
    assert "Most probable diagnosis: balanced accuracy" in result.output
    assert "84 images of" in result.output
    assert "Not a medical device" in result.output


def test_two_files_are_compared_image_by_image(source: Path, tmp_path: Path) -> None:
    better, worse = (answers(source, tmp_path, *each) for each in (("better", 4.0), ("worse", 1.0)))
    result = run(better, worse, "--source", source)
    assert result.exit_code == 0, result.output
    (row,) = [line for line in result.output.splitlines() if "diagnosis: accuracy" in line]
    ours, theirs, difference = (float(cell.split()[0]) for cell in row.split("│")[2:5])
    assert difference == pytest.approx(ours - theirs, abs=0.2)
    assert difference > 0


def test_a_file_of_anything_else_is_refused(source: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv.gz"
    other.write_bytes(b"not compressed")
    result = run(other, "--source", source)
    assert isinstance(result.exception, EvaluationReportError)


def test_metrics_have_the_names_and_units_of_the_model_card(source: Path, tmp_path: Path) -> None:
    better, worse = (answers(source, tmp_path, *each) for each in (("better", 4.0), ("worse", 1.0)))
    result = run(better, worse, "--source", source)
    rows = {row.split("│")[1].strip(): row for row in result.output.splitlines() if "│" in row}
    assert set(map(out_of_fold_name, MEASURED)) == rows.keys()
    assert " points (" in rows["Balanced accuracy"]
    assert "%" not in rows["AUC, malignant against benign"]
