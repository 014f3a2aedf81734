import numpy as np
import pytest

from lentigo_trainer.errors import EvaluationReportError
from lentigo_trainer.evaluation.comparison import COMPARED, paired_differences
from lentigo_trainer.evaluation.report import EvaluationReport
from tests.trainer.evaluation.cards import made_card


@pytest.fixture(scope="module")
def better() -> EvaluationReport:
    return made_card(skill=3.0)


@pytest.fixture(scope="module")
def worse() -> EvaluationReport:
    return made_card(skill=1.5)


def test_a_difference_is_that_of_the_figures(
    better: EvaluationReport, worse: EvaluationReport
) -> None:
    found = paired_differences(better, worse)
    assert found is not None
    assert set(found) == set(COMPARED)
    ours, theirs = (card.evaluation.balanced_accuracy.value for card in (better, worse))
    assert ours is not None
    assert theirs is not None
    assert found["balanced_accuracy"].value == pytest.approx(ours - theirs)
    assert found["melanoma_sensitivity"].n == better.evaluation.melanoma_sensitivity.n


def test_what_is_hard_for_both_cancels_out(
    better: EvaluationReport, worse: EvaluationReport
) -> None:
    """The interval is narrower than if the two had been measured on different lesions."""
    found = paired_differences(better, worse)
    assert found is not None

    def width(card: EvaluationReport) -> float:
        return (card.evaluation.log_loss.high or 0) - (card.evaluation.log_loss.low or 0)

    paired = (found["log_loss"].high or 0) - (found["log_loss"].low or 0)
    assert 0 < paired < np.hypot(width(better), width(worse))


def test_a_version_is_no_better_than_itself(better: EvaluationReport) -> None:
    found = paired_differences(better, better)
    assert found is not None
    assert {(each.value, each.low, each.high) for each in found.values()} == {(0.0, 0.0, 0.0)}


def test_without_the_answers_there_is_no_difference(
    better: EvaluationReport, worse: EvaluationReport
) -> None:
    assert paired_differences(better, worse.without_answers()) is None


def test_other_images_are_refused(better: EvaluationReport) -> None:
    with pytest.raises(EvaluationReportError, match="not the same images with the same truth"):
        paired_differences(better, made_card(seed=2))
