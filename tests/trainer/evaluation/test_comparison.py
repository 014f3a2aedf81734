import numpy as np
import pytest

from lentigo_trainer.errors import EvaluationReportError
from lentigo_trainer.evaluation.comparison import (
    COMPARED,
    paired_balanced_accuracy,
    paired_differences,
)
from lentigo_trainer.evaluation.image_predictions import groups_of, probabilities_of, truth_of
from lentigo_trainer.evaluation.report import EvaluationReport
from lentigo_trainer.metrics.bootstrap import Resampling
from tests.trainer.evaluation.cards import made_card


@pytest.fixture(scope="module")
def better() -> EvaluationReport:
    return made_card(skill=3.0)


@pytest.fixture(scope="module")
def worse() -> EvaluationReport:
    return made_card(skill=1.5)


def test_a_difference_is_that_of_the_metrics(
    better: EvaluationReport, worse: EvaluationReport
) -> None:
    found = paired_differences(better, worse)
    assert found is not None
    assert set(found) == set(COMPARED)
    ours, theirs = (report.evaluation.balanced_accuracy.value for report in (better, worse))
    assert ours is not None
    assert theirs is not None
    assert found["balanced_accuracy"].value == pytest.approx(ours - theirs)
    assert found["melanoma_sensitivity"].n == better.evaluation.melanoma_sensitivity.n


def test_the_difference_of_diagnoses_alone_is_that_of_the_reports(
    better: EvaluationReport, worse: EvaluationReport
) -> None:
    expected = paired_differences(better, worse)
    assert expected is not None
    assert better.answers is not None
    assert worse.answers is not None
    ours, theirs = (
        probabilities_of(answers).argmax(axis=1) for answers in (better.answers, worse.answers)
    )
    result = better.evaluation
    found = paired_balanced_accuracy(
        truth_of(better.answers),
        ours,
        theirs,
        Resampling(groups_of(better.answers), result.seed, result.resamples),
    )
    figures = expected["balanced_accuracy"]
    assert (found.value, found.low, found.high) == pytest.approx(
        (figures.value, figures.low, figures.high)
    )


def test_of_two_that_are_always_and_never_right_the_difference_is_certain() -> None:
    truth = np.repeat(np.arange(7), 20)
    found = paired_balanced_accuracy(
        truth, (truth + 1) % 7, truth, Resampling(np.arange(truth.size), seed=0)
    )
    assert (found.value, found.low, found.high) == (-1.0, -1.0, -1.0)


def test_of_too_few_lesions_there_is_a_difference_without_an_interval() -> None:
    truth = np.arange(7)
    found = paired_balanced_accuracy(
        truth, np.zeros(7, np.int64), truth, Resampling(np.arange(7), seed=0)
    )
    assert found.value == pytest.approx(-6 / 7)
    assert found.high is None
    assert "too few lesions" in (found.reason or "")


def test_paired_intervals_are_narrower_than_unpaired_ones(
    better: EvaluationReport, worse: EvaluationReport
) -> None:
    """The interval is narrower than if the two had been evaluated on different lesions."""
    found = paired_differences(better, worse)
    assert found is not None

    def width(report: EvaluationReport) -> float:
        return (report.evaluation.log_loss.high or 0) - (report.evaluation.log_loss.low or 0)

    paired = (found["log_loss"].high or 0) - (found["log_loss"].low or 0)
    assert 0 < paired < np.hypot(width(better), width(worse))


def test_a_version_does_not_differ_from_itself(better: EvaluationReport) -> None:
    found = paired_differences(better, better)
    assert found is not None
    assert {(each.value, each.low, each.high) for each in found.values()} == {(0.0, 0.0, 0.0)}


def test_without_predictions_there_is_no_difference(
    better: EvaluationReport, worse: EvaluationReport
) -> None:
    assert paired_differences(better, worse.without_answers()) is None


def test_other_images_are_refused(better: EvaluationReport) -> None:
    with pytest.raises(EvaluationReportError, match="not the same images with the same truth"):
        paired_differences(better, made_card(seed=2))
