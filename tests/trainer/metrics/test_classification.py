import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from lentigo_contract.labels import CODES, MALIGNANT, index_of
from lentigo_trainer.errors import EmptyClassError, MetricError
from lentigo_trainer.metrics import classification
from lentigo_trainer.metrics.arrays import FloatArray, LabelArray
from tests.trainer.metrics.made_up_answers import certain, made_up_answers

MEL, NV = index_of("mel"), index_of("nv")


def test_figures_of_a_case_worked_by_hand() -> None:
    truth = np.array([NV, NV, NV, MEL])
    answers = certain(NV, NV, MEL, MEL)
    assert classification.accuracy(truth, answers) == 0.75
    assert classification.majority_baseline(truth) == 0.75
    assert classification.majority_code(truth) == "nv"
    assert classification.recall(truth, answers, "nv") == pytest.approx(2 / 3)
    assert classification.precision(truth, answers, "mel") == 0.5
    assert classification.melanoma_sensitivity(truth, answers) == 1
    assert classification.balanced_accuracy(truth, answers) == pytest.approx(5 / 6)
    assert classification.malignant_auc(truth, answers) == pytest.approx((2 + 0.5) / 3)
    assert classification.brier_score(truth, answers) == pytest.approx(2 / 4)
    assert classification.log_loss(truth, answers) == pytest.approx(
        -np.log(np.finfo(float).eps) / 4
    )
    assert classification.confusion_matrix(truth, answers)[NV, MEL] == 1


def test_figures_agree_with_scikit_learn() -> None:
    truth, probabilities, _ = made_up_answers(3)
    answers = probabilities.argmax(axis=1)
    report = sklearn.metrics.classification_report(
        truth, answers, target_names=CODES, output_dict=True
    )
    assert classification.accuracy(truth, probabilities) == pytest.approx(report["accuracy"])
    for code in CODES:
        assert classification.recall(truth, probabilities, code) == pytest.approx(
            report[code]["recall"]
        )
        assert classification.precision(truth, probabilities, code) == pytest.approx(
            report[code]["precision"]
        )
    assert classification.balanced_accuracy(truth, probabilities) == pytest.approx(
        sklearn.metrics.balanced_accuracy_score(truth, answers)
    )
    assert classification.macro_auc(truth, probabilities) == pytest.approx(
        sklearn.metrics.roc_auc_score(truth, probabilities, multi_class="ovr", average="macro")
    )
    malignant = np.array(MALIGNANT)
    assert classification.malignant_auc(truth, probabilities) == pytest.approx(
        sklearn.metrics.roc_auc_score(malignant[truth], probabilities[:, malignant].sum(axis=1))
    )


def test_a_class_asked_for_without_an_example_is_an_error() -> None:
    truth, answers = np.array([NV, MEL]), certain(NV, MEL)
    with pytest.raises(EmptyClassError, match="no example of df"):
        classification.recall(truth, answers, "df")
    with pytest.raises(EmptyClassError, match="no example of df"):
        classification.balanced_accuracy(truth, answers, ["nv", "df"])
    with pytest.raises(EmptyClassError, match="no example of df"):
        classification.one_vs_rest_auc(truth, answers, "df")


def test_balanced_accuracy_speaks_of_the_classes_present() -> None:
    truth, answers = np.array([NV, NV, MEL]), certain(NV, NV, NV)
    assert classification.present_codes(truth) == ("mel", "nv")
    assert classification.balanced_accuracy(truth, answers) == 0.5


def test_a_curve_needs_both_sides() -> None:
    with pytest.raises(EmptyClassError, match="anything but nv"):
        classification.one_vs_rest_auc(np.array([NV]), certain(NV), "nv")
    with pytest.raises(EmptyClassError, match="a malignancy"):
        classification.malignant_auc(np.array([NV]), certain(NV))


def test_precision_of_a_class_never_answered_is_an_error() -> None:
    with pytest.raises(MetricError, match="No answer names df"):
        classification.precision(np.array([NV]), certain(NV), "df")


@pytest.mark.parametrize(
    ("truth", "probabilities", "complaint"),
    [
        (np.array([], dtype=int), np.zeros((0, 7)), "no example"),
        (np.array([0]), np.full((1, 6), 1 / 6), "expected"),
        (np.array([0, 1]), np.full((1, 7), 1 / 7), "expected"),
        (np.array([7]), np.full((1, 7), 1 / 7), "outside 0..6"),
        (np.array([-1]), np.full((1, 7), 1 / 7), "outside 0..6"),
        (np.array([0.0]), np.full((1, 7), 1 / 7), "whole|class numbers"),
        (np.array([0]), np.full((1, 7), np.nan), "not a number"),
        (np.array([0]), np.full((1, 7), 0.5), "does not sum to 1"),
        (np.array([0]), np.array([[2.0, -1, 0, 0, 0, 0, 0]]), "outside 0..1"),
    ],
)
def test_arrays_that_cannot_be_right_are_refused(
    truth: LabelArray, probabilities: FloatArray, complaint: str
) -> None:
    with pytest.raises(MetricError, match=complaint):
        classification.accuracy(truth, probabilities)


@given(seed=st.integers(0, 10_000), n=st.integers(20, 60))
def test_the_order_of_the_examples_does_not_matter(seed: int, n: int) -> None:
    truth, probabilities, _ = made_up_answers(seed, n)
    shuffled = np.random.default_rng(seed).permutation(n)
    for measure in (
        classification.accuracy,
        classification.balanced_accuracy,
        classification.brier_score,
        classification.log_loss,
    ):
        assert measure(truth[shuffled], probabilities[shuffled]) == pytest.approx(
            measure(truth, probabilities)
        )


@given(seed=st.integers(0, 10_000))
def test_shares_lie_between_zero_and_one(seed: int) -> None:
    truth, probabilities, _ = made_up_answers(seed, 40)
    for measure in (classification.accuracy, classification.balanced_accuracy):
        assert 0 <= measure(truth, probabilities) <= 1
    assert 0 <= classification.brier_score(truth, probabilities) <= 2
    assert classification.confusion_matrix(truth, probabilities).sum() == 40
