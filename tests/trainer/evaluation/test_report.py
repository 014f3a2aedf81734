import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lentigo_contract.labels import CODES, RESEARCH_NOTICE
from lentigo_contract.manifest.probabilities import Calibration, MalignancyCalibration
from lentigo_trainer.evaluation.images.image_sets import ImageSet
from lentigo_trainer.evaluation.report import EvaluatedModel, EvaluationReport, score
from lentigo_trainer.evaluation.summary import evaluate
from lentigo_trainer.reporting.evaluation_page import write_page
from lentigo_trainer.reporting.sentences import sentences
from tests.fakes import made_manifest
from tests.trainer.metrics.made_up_answers import certain, made_up_answers

SUBJECT = EvaluatedModel(
    name="lentigo",
    version=3,
    architecture="mobilenet",
    created="2026-01-02T03:04:05+00:00",
    asked="in process",
    engine="savedmodel",
)
N = 150


def image_set(truth: "np.ndarray[tuple[int], np.dtype[np.int64]]", lesions: object) -> ImageSet:
    """Images with a truth; their metadata is known if their lesions are."""
    people = None
    if lesions is not None:
        people = pd.DataFrame({"lesion_id": lesions}).assign(
            sex="female", age=50.0, localization="back", dx_type="histo"
        )
    names = tuple(f"<b>{number}" for number in range(truth.size))
    return ImageSet("<made up>", names, truth, (), people=people)


@pytest.fixture(scope="module")
def report() -> EvaluationReport:
    truth, probabilities, lesions = made_up_answers(1, n=N)
    manifest = made_manifest(calibration=Calibration(method="temperature", temperature=1.5))
    images = image_set(truth, lesions)
    return score(SUBJECT, images, "none: made up", probabilities, manifest, 0, resamples=50)


@pytest.fixture(scope="module")
def bare() -> EvaluationReport:
    """Two classes, of unknown lesions, by a service of unknown calibration."""
    truth = np.array([5] * 9 + [4])
    leakage = "not checked: made up"
    images = image_set(truth, None)
    return score(SUBJECT, images, leakage, certain(*truth), None, 0, truth == 4, resamples=50)


def test_metrics_have_the_names_of_the_manifest(report: EvaluationReport) -> None:
    truth, probabilities, lesions = made_up_answers(1, n=N)
    metrics = evaluate(truth, probabilities, lesions, 0, 50).to_json()
    written = report.to_json()
    assert {name: written[name] for name in metrics} == metrics
    assert written["schema_version"] == 1
    assert written["notice"] == RESEARCH_NOTICE
    assert written["overlap"] == "none: made up"
    assert written["intervals_over"] == "lesions"


def test_unknown_lesions_are_null_and_images_are_drawn(bare: EvaluationReport) -> None:
    written = bare.to_json()
    assert written["lesions"] is None
    assert written["intervals_over"] == "images"
    assert written["subgroups"] is None
    assert "--metadata" in str(written["subgroups_reason"])


def test_an_empty_class_is_undefined_and_named_beside_the_average(bare: EvaluationReport) -> None:
    assert bare.evaluation.averaged_over == ("mel", "nv")
    assert bare.diagnoses["df"].sensitivity.value is None
    assert bare.diagnoses["df"].sensitivity.reason == "There is no image of df."


def test_the_page_shows_every_metric_and_every_plot(
    report: EvaluationReport, tmp_path: Path
) -> None:
    write_page(tmp_path / "page", report)
    text = (tmp_path / "page" / "index.html").read_text()
    plots = {path.name for path in (tmp_path / "page").glob("*.png")}
    assert plots == {
        "confusion.png",
        "diagnoses.png",
        "reliability.png",
        "malignancy.png",
        "reliability-before.png",
        "risk-coverage.png",
    }
    assert all(f'src="{name}"' in text for name in plots)
    assert RESEARCH_NOTICE in text
    assert all(f'<th scope="row">{code}</th>' in text for code in CODES)
    assert "By sex" in text
    assert "bootstrap over lesions" in text
    assert "&lt;made up&gt;" in text
    assert "<made up>" not in text
    # A shared page must not share the names of images.
    metrics = report.without_answers().to_json()
    assert json.loads((tmp_path / "page" / "evaluation.json").read_text()) == metrics


PREVALENCE = dict(zip(CODES, (0.03, 0.03, 0.08, 0.02, 0.10, 0.71, 0.03), strict=True))


@pytest.fixture(scope="module")
def balanced() -> EvaluationReport:
    """A version that declares its prevalence and calibrates malignancy by itself."""
    truth, probabilities, lesions = made_up_answers(1, n=N)
    calibration = MalignancyCalibration(slope=0.5, intercept=-0.5, source="made up")
    manifest = made_manifest(prevalence=PREVALENCE, malignancy_calibration=calibration)
    images = image_set(truth, lesions)
    return score(SUBJECT, images, "none: made up", probabilities, manifest, 0, resamples=50)


def test_a_version_that_decides_for_balance_is_scored_by_both_decisions(
    report: EvaluationReport, balanced: EvaluationReport
) -> None:
    found, before = balanced.evaluation, report.evaluation
    assert (before.decided_by, before.most_probable) == ("probable", None)
    assert found.decided_by == "balanced"
    assert found.most_probable is not None
    assert found.most_probable.accuracy == before.accuracy
    assert found.most_probable.balanced_accuracy == before.balanced_accuracy
    assert found.accuracy != before.accuracy
    # Ranking and the calibration of the seven do not depend on the decision.
    assert found.expected_calibration_error == before.expected_calibration_error
    assert found.malignant_auc == before.malignant_auc
    assert found.malignant_calibration_error != before.malignant_calibration_error
    wrong = balanced.risk_coverage.points[-1].risk.value
    assert wrong == pytest.approx(1 - (found.accuracy.value or 0))
    assert balanced.diagnoses["mel"].sensitivity == found.melanoma_sensitivity
    assert balanced.answers is not None
    named = [each.diagnosis for each in balanced.answers]
    counts = [sum(row[place] for row in found.confusion) for place in range(len(CODES))]
    assert [named.count(code) for code in CODES] == counts


def test_both_decisions_are_written_and_read_back(balanced: EvaluationReport) -> None:
    assert EvaluationReport.from_json(balanced.to_json()) == balanced
    text = " ".join(sentences(balanced))
    assert "decided as if the seven were equally frequent" in text


def test_a_report_of_an_older_release_can_still_be_read(report: EvaluationReport) -> None:
    newer = {"decided_by", "most_probable", "malignant_calibration_error", "malignant_reliability"}
    values = {name: value for name, value in report.to_json().items() if name not in newer}
    read = EvaluationReport.from_json(values)
    assert read.evaluation.decided_by == "probable"
    assert read.evaluation.malignant_calibration_error is None
    assert read.evaluation.accuracy == report.evaluation.accuracy


def test_the_page_has_rows_of_both_decisions(balanced: EvaluationReport, tmp_path: Path) -> None:
    write_page(tmp_path, balanced)
    text = (tmp_path / "index.html").read_text()
    for row in ("Accuracy", "Most probable diagnosis: accuracy", "Calibration error of malignancy"):
        assert f'<th scope="row">{row}</th>' in text


def test_sentences_name_the_version_and_what_was_resampled(
    report: EvaluationReport, bare: EvaluationReport
) -> None:
    text, text_bare = " ".join(sentences(report)), " ".join(sentences(bare))
    assert "asked in process (engine savedmodel) about 150 images of" in text
    assert "bootstrap over lesions" in text
    assert "about 10 images." in text_bare
    assert "bootstrap over images" in text_bare
    assert "not checked: made up" in text_bare


def test_a_page_names_what_is_missing(bare: EvaluationReport, tmp_path: Path) -> None:
    write_page(tmp_path, bare)
    text = (tmp_path / "index.html").read_text()
    assert "not checked: made up" in text
    assert "bootstrap over images" in text
    assert "Balanced accuracy (over 2 of 7 classes)" in text
    assert "undefined" in text
    assert "Refused as unfit, and judged anyway: 10.0 % (" in text
    assert not (tmp_path / "reliability-before.png").exists()
