import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from lentigo_contract.labels import CODES, MALIGNANT, index_of
from lentigo_trainer.errors import EmptyClassError, MetricError
from lentigo_trainer.metrics.arrays import FloatArray, LabelArray
from lentigo_trainer.metrics.classification import (
    ClassificationMetrics,
    accuracy,
    balanced_accuracy,
    confusion_matrix,
    majority_code,
    present_codes,
)
from tests.trainer.metrics.made_up_answers import certain, made_up_answers

MEL, NV = index_of("mel"), index_of("nv")


def metric(truth: LabelArray, probabilities: FloatArray, name: str) -> float:
    return ClassificationMetrics(truth, probabilities).value(name)


def test_metrics_of_a_case_worked_by_hand() -> None:
    truth = np.array([NV, NV, NV, MEL])
    probabilities = certain(NV, NV, MEL, MEL)
    assert accuracy(truth, probabilities) == 0.75
    assert metric(truth, probabilities, "majority_baseline") == 0.75
    assert majority_code(truth) == "nv"
    assert metric(truth, probabilities, "recall nv") == pytest.approx(2 / 3)
    assert metric(truth, probabilities, "precision mel") == 0.5
    assert metric(truth, probabilities, "melanoma_sensitivity") == 1
    assert balanced_accuracy(truth, probabilities) == pytest.approx(5 / 6)
    assert metric(truth, probabilities, "malignant_auc") == pytest.approx((2 + 0.5) / 3)
    assert metric(truth, probabilities, "brier") == pytest.approx(2 / 4)
    assert metric(truth, probabilities, "log_loss") == pytest.approx(
        -np.log(np.finfo(float).eps) / 4
    )
    assert confusion_matrix(truth, probabilities)[NV, MEL] == 1


def test_metrics_agree_with_scikit_learn() -> None:
    truth, probabilities, _ = made_up_answers(3)
    predicted = probabilities.argmax(axis=1)
    report = sklearn.metrics.classification_report(
        truth, predicted, target_names=CODES, output_dict=True
    )
    assert accuracy(truth, probabilities) == pytest.approx(report["accuracy"])
    for code in CODES:
        assert metric(truth, probabilities, f"recall {code}") == pytest.approx(
            report[code]["recall"]
        )
        assert metric(truth, probabilities, f"precision {code}") == pytest.approx(
            report[code]["precision"]
        )
    assert balanced_accuracy(truth, probabilities) == pytest.approx(
        sklearn.metrics.balanced_accuracy_score(truth, predicted)
    )
    for name, expected in {
        "brier": np.square(probabilities - np.eye(7)[truth]).sum(axis=1).mean(),
        "log_loss": sklearn.metrics.log_loss(truth, probabilities, labels=np.arange(7)),
    }.items():
        assert metric(truth, probabilities, name) == pytest.approx(expected, rel=1e-12)
    assert metric(truth, probabilities, "macro_auc") == pytest.approx(
        sklearn.metrics.roc_auc_score(truth, probabilities, multi_class="ovr", average="macro")
    )
    malignant = np.array(MALIGNANT)
    assert metric(truth, probabilities, "malignant_auc") == pytest.approx(
        sklearn.metrics.roc_auc_score(malignant[truth], probabilities[:, malignant].sum(axis=1))
    )


def test_a_class_asked_for_without_an_example_is_an_error() -> None:
    truth, probabilities = np.array([NV, MEL]), certain(NV, MEL)
    with pytest.raises(EmptyClassError, match="no example of df"):
        metric(truth, probabilities, "recall df")
    with pytest.raises(EmptyClassError, match="no example of df"):
        balanced_accuracy(truth, probabilities, ["nv", "df"])
    with pytest.raises(EmptyClassError, match="no example of df"):
        metric(truth, probabilities, "auc df")


def test_balanced_accuracy_averages_over_the_classes_present() -> None:
    truth, probabilities = np.array([NV, NV, MEL]), certain(NV, NV, NV)
    assert present_codes(truth) == ("mel", "nv")
    assert balanced_accuracy(truth, probabilities) == 0.5


def test_an_auc_needs_positive_and_negative_examples() -> None:
    with pytest.raises(EmptyClassError, match="anything but nv"):
        metric(np.array([NV]), certain(NV), "auc nv")
    with pytest.raises(EmptyClassError, match="a malignancy"):
        metric(np.array([NV]), certain(NV), "malignant_auc")


def test_precision_of_a_class_never_predicted_is_an_error() -> None:
    with pytest.raises(MetricError, match="No answer names df"):
        metric(np.array([NV]), certain(NV), "precision df")


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
def test_arrays_of_another_shape_or_range_are_refused(
    truth: LabelArray, probabilities: FloatArray, complaint: str
) -> None:
    with pytest.raises(MetricError, match=complaint):
        accuracy(truth, probabilities)


@given(seed=st.integers(0, 10_000), n=st.integers(20, 60))
def test_the_order_of_the_examples_does_not_matter(seed: int, n: int) -> None:
    truth, probabilities, _ = made_up_answers(seed, n)
    shuffled = np.random.default_rng(seed).permutation(n)
    for name in ("accuracy", "balanced_accuracy", "brier", "log_loss"):
        assert metric(truth[shuffled], probabilities[shuffled], name) == pytest.approx(
            metric(truth, probabilities, name)
        )


@given(seed=st.integers(0, 10_000))
def test_shares_lie_between_zero_and_one(seed: int) -> None:
    truth, probabilities, _ = made_up_answers(seed, 40)
    for share in (accuracy, balanced_accuracy):
        assert 0 <= share(truth, probabilities) <= 1
    assert 0 <= metric(truth, probabilities, "brier") <= 2
    assert confusion_matrix(truth, probabilities).sum() == 40
