import json
from pathlib import Path

import pytest

from lentigo_trainer.errors import EvaluationReportError
from lentigo_trainer.evaluation.report import (
    EvaluationReport,
    read_evaluation_report,
    write_evaluation_report,
)
from tests.trainer.evaluation.cards import made_card


@pytest.fixture(scope="module")
def report() -> EvaluationReport:
    return made_card(n=60)


def test_predictions_are_written_only_on_request(report: EvaluationReport, tmp_path: Path) -> None:
    write_evaluation_report(tmp_path / "figures.json", report)
    write_evaluation_report(tmp_path / "all.json", report, with_answers=True)
    assert read_evaluation_report(tmp_path / "figures.json") == report.without_answers()
    assert read_evaluation_report(tmp_path / "all.json") == report
    assert "ISIC_" not in (tmp_path / "figures.json").read_text()


def test_each_prediction_has_its_own_line(report: EvaluationReport, tmp_path: Path) -> None:
    write_evaluation_report(tmp_path / "all.json", report, with_answers=True)
    lines = (tmp_path / "all.json").read_text().splitlines()
    (line,) = [line for line in lines if "ISIC_0000007" in line]
    assert len(json.loads(line.rstrip(","))["probabilities"]) == 7


def test_a_report_without_lesions_is_unchanged_after_reading(tmp_path: Path) -> None:
    bare = made_card(n=40, lesions_known=False)
    write_evaluation_report(tmp_path / "out.json", bare, with_answers=True)
    assert read_evaluation_report(tmp_path / "out.json") == bare


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", "is not JSON"),
        ("[]", "schema version None"),
        ('{"schema_version": 2}', "schema version 2; this release reads 1"),
        ('{"schema_version": true}', "schema version True"),
        ('{"schema_version": 1, "examples": 3}', "not the metrics of an evaluation"),
    ],
)
def test_a_file_that_is_not_a_report_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text(text)
    with pytest.raises(EvaluationReportError, match=message):
        read_evaluation_report(tmp_path / "out.json")


def test_a_prediction_of_six_numbers_is_refused(report: EvaluationReport, tmp_path: Path) -> None:
    values = report.to_json()
    answers = values["answers"]
    assert isinstance(answers, list)
    assert isinstance(answers[0], dict)
    answers[0]["probabilities"] = [0.5] * 6
    (tmp_path / "out.json").write_text(json.dumps(values))
    with pytest.raises(EvaluationReportError, match="ISIC_0000000 has no known diagnosis or not 7"):
        read_evaluation_report(tmp_path / "out.json")


def test_a_file_that_is_not_there_says_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(EvaluationReportError, match="lentigo-train evaluate --json"):
        read_evaluation_report(tmp_path / "missing.json")
